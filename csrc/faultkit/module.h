/* The extension module loopproof.faultkit: its state and what its parts give to it. */
#ifndef LOOPPROOF_FAULTKIT_MODULE_H
#define LOOPPROOF_FAULTKIT_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "script.h"

/* What observers return. */
enum fk_observed { FK_DESCRIPTOR, FK_THREAD, FK_CHILD, FK_RESIDENT, FK_OBSERVED };

struct fk_module {
  PyTypeObject *peer_type;
  PyTypeObject *entry_type;
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

/* Translate a sequence of steps (see steps.c). On success returns a new tuple of new dicts and fills `script`, which
 * the caller clears; on failure returns NULL with an exception set that names the step. */
PyObject *fk_parse_script(PyObject *steps, struct fk_script *script);

/* Return a step as the call that makes it: "send(data=b'x')". */
PyObject *fk_describe_step(PyObject *step);

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
int fk_add_allocation_faults(PyObject *module, struct fk_module *state);

#endif
