/* The extension module loopproof.faultkit: its state and what its parts give to it. */
#ifndef LOOPPROOF_FAULTKIT_MODULE_H
#define LOOPPROOF_FAULTKIT_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "rule.h"
#include "script.h"
#include "supervisor.h"

/* What observers return. */
enum fk_observed { FK_DESCRIPTOR, FK_THREAD, FK_CHILD, FK_RESIDENT, FK_OBSERVED };

struct fk_module {
  PyTypeObject *peer_type;
  PyTypeObject *entry_type;
  PyTypeObject *injector_type;
  PyTypeObject *call_type;
  struct fk_supervisor *supervisors; /* whose listeners a fork would inherit; each a reference */
  bool watches_forks;
  PyTypeObject *failure_type;
  PyTypeObject *observed[FK_OBSERVED];
};

/* Methods of the module, by the file that has them; each ends with an empty one. */
extern PyMethodDef fk_step_methods[];
extern PyMethodDef fk_pattern_methods[];
extern PyMethodDef fk_descriptor_methods[];
extern PyMethodDef fk_process_methods[];
extern PyMethodDef fk_memory_methods[];
extern PyMethodDef fk_crash_methods[];
extern PyMethodDef fk_rule_methods[];
extern PyMethodDef fk_replay_methods[];
extern PyMethodDef fk_kernel_methods[];

/* Translate a sequence of steps (see steps.c). On success returns a new tuple of new dicts and fills `script`, which
 * the caller clears; on failure returns NULL with an exception set that names the step. */
PyObject *fk_parse_script(PyObject *steps, struct fk_script *script);

/* Return a step as the call that makes it: "send(data=b'x')". */
PyObject *fk_describe_step(PyObject *step);

/* An argument as an unsigned number of 64 bits. Returns 0, or -1 with an exception set that names it. */
int fk_unsigned_argument(PyObject *value, unsigned long long *result, const char *name);

/* Check that a part of a pattern is not beyond its end. Returns 0, or -1 with an exception set. */
int fk_check_pattern_range(unsigned long long offset, Py_ssize_t size);

/* The key of a rule that has its action. */
#define FK_ACTION_KEY "do"

/* The action of that name, a str; FK_ACTION_COUNT if there is none. */
enum fk_action fk_action_named(PyObject *name);

/* Translate a sequence of rules (see rules.c). On success returns a new tuple of new dicts and sets `rules`, which the
 * caller frees, and `count`; on failure returns NULL with an exception set that names the rule and its field. */
PyObject *fk_parse_rules(PyObject *given, struct fk_rule **rules, size_t *count);

/* Turn a sequence of calls of a trace into a new tuple of the rules that do again what was done to them. */
PyObject *fk_rules_from(PyObject *module, PyObject *trace);

/* Return the name of an error number: "EAGAIN". */
PyObject *fk_error_name(int error);

/* Return a text that says why the kernel refuses a filter, by what fk_filter_probe() returns. */
PyObject *fk_refusal(int error);

/* What the types of observers are made of. */
extern PyStructSequence_Desc fk_descriptor_description;
extern PyStructSequence_Desc fk_thread_description;
extern PyStructSequence_Desc fk_child_description;
extern PyStructSequence_Desc fk_resident_description;

/* Make a struct sequence of all its values, and take the references to them. A value that is NULL, with an exception
 * set, could not be made: then, and on failure, returns NULL with an exception set. */
PyObject *fk_struct_of(PyTypeObject *type, PyObject *const *values, Py_ssize_t count);

/* Make the types and add them to the module. Returns 0, or -1 with an exception set. */
int fk_add_peer_type(PyObject *module, struct fk_module *state);
int fk_add_buffer_type(PyObject *module);
int fk_add_injector_type(PyObject *module, struct fk_module *state);
int fk_add_allocation_faults(PyObject *module, struct fk_module *state);

#endif
