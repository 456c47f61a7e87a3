/* Arguments of methods whose parameters may be given by name. */

#ifndef REFLOOP_ARGUMENTS_H
#define REFLOOP_ARGUMENTS_H

#include <Python.h>

#include <stdbool.h>
#include <string.h>

#include "state.h"

/* How a method that takes a callback is called: method(first, callback, *args, context=None). */
struct signature {
  const char *method;
  PyObject *first; /* the name of the parameter before the callback, NULL if there is none */
  bool context;    /* there is such a parameter */
};

/* The arguments of one call, all borrowed: what the names stand for, and what is left for the callback. */
struct call {
  PyObject *first; /* NULL if there is no such parameter */
  PyObject *callback;
  PyObject *context; /* or NULL */
  PyObject *const *args;
  Py_ssize_t nargs;
};

/* Whether a keyword is the name of a parameter. asyncio's own keywords are not interned: equal ones are common. */
static inline bool argument_is_named(PyObject *keyword, PyObject *name) {
  return keyword == name || (PyUnicode_GET_LENGTH(keyword) == PyUnicode_GET_LENGTH(name) &&
                             PyUnicode_KIND(keyword) == PyUnicode_KIND(name) &&
                             memcmp(PyUnicode_DATA(keyword), PyUnicode_DATA(name),
                                    (size_t)PyUnicode_GET_LENGTH(name) * PyUnicode_KIND(name)) == 0);
}

/* What arguments_of_call() does when others than the context are given by name, or some are missing. */
int arguments_of_call_by_name(struct core_state *state, const struct signature *signature, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *keywords, struct call *call);

/* Sorts the arguments of a vectorcall. Returns 0, or -1 with an exception. */
static inline int arguments_of_call(struct core_state *state, const struct signature *signature, PyObject *const *args,
                                    Py_ssize_t nargs, PyObject *keywords, struct call *call) {
  Py_ssize_t place = signature->first != NULL; /* of the callback */
  bool context = keywords != NULL && signature->context && PyTuple_GET_SIZE(keywords) == 1 &&
                 argument_is_named(PyTuple_GET_ITEM(keywords, 0), state->str_context);

  if ((keywords != NULL && !context) || nargs <= place)
    return arguments_of_call_by_name(state, signature, args, nargs, keywords, call);
  call->first = place ? args[0] : NULL;
  call->callback = args[place];
  call->context = context ? args[nargs] : NULL;
  call->args = args + place + 1;
  call->nargs = nargs - place - 1;
  return 0;
}

/* The arguments of a method whose parameters have these names; the last ones need not be given. Puts them in values[],
   borrowed, NULL for what was not given. Returns 0, or -1 with an exception. */
int arguments_by_name(const char *method, PyObject *const *names, int count, int required, PyObject *const *args,
                      Py_ssize_t nargs, PyObject *keywords, PyObject **values);

/* The one argument of a method with one parameter. Returns a borrowed reference, or NULL with an exception. */
PyObject *arguments_only(const char *method, PyObject *name, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *keywords);

/* For tables of methods. */
#define WITH_KEYWORDS(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

#endif
