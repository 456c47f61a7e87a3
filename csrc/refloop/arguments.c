/* Arguments of methods whose parameters may be given by name. */

#include "arguments.h"

#include <string.h>

/* Puts an argument that was given by name in its place; NULL if there is none for it. */
static int place_keyword(const char *method, PyObject *keyword, PyObject *value, PyObject **place) {
  if (place == NULL)
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", method, keyword);
  else if (*place != NULL)
    PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", method, keyword);
  else
    *place = value;
  return PyErr_Occurred() ? -1 : 0;
}

static int missing(const char *method, PyObject *name) {
  PyErr_Format(PyExc_TypeError, "%s() missing a required positional argument: '%U'", method, name);
  return -1;
}

int arguments_of_call_by_name(struct core_state *state, const struct signature *signature, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *keywords, struct call *call) {
  Py_ssize_t named = keywords != NULL ? PyTuple_GET_SIZE(keywords) : 0, used = 0;

  memset(call, 0, sizeof(*call));
  if (signature->first != NULL && used < nargs)
    call->first = args[used++];
  if (used < nargs)
    call->callback = args[used++];
  call->args = args + used;
  call->nargs = nargs - used;
  for (Py_ssize_t i = 0; i < named; i++) {
    PyObject *keyword = PyTuple_GET_ITEM(keywords, i);
    PyObject **place = NULL;

    if (signature->context && argument_is_named(keyword, state->str_context))
      place = &call->context;
    else if (argument_is_named(keyword, state->str_callback))
      place = &call->callback;
    else if (signature->first != NULL && argument_is_named(keyword, signature->first))
      place = &call->first;
    if (place_keyword(signature->method, keyword, args[nargs + i], place) < 0)
      return -1;
  }
  if (signature->first != NULL && call->first == NULL)
    return missing(signature->method, signature->first);
  return call->callback == NULL ? missing(signature->method, state->str_callback) : 0;
}

int arguments_by_name(const char *method, PyObject *const *names, int count, int required, PyObject *const *args,
                      Py_ssize_t nargs, PyObject *keywords, PyObject **values) {
  Py_ssize_t named = keywords != NULL ? PyTuple_GET_SIZE(keywords) : 0;

  if (nargs > count) {
    PyErr_Format(PyExc_TypeError, "%s() takes %d positional argument%s but %zd were given", method, count,
                 count == 1 ? "" : "s", nargs);
    return -1;
  }
  for (int i = 0; i < count; i++)
    values[i] = i < nargs ? args[i] : NULL;
  for (Py_ssize_t i = 0; i < named; i++) {
    PyObject *keyword = PyTuple_GET_ITEM(keywords, i), **place = NULL;

    for (int j = 0; j < count && place == NULL; j++) {
      if (argument_is_named(keyword, names[j]))
        place = &values[j];
    }
    if (place_keyword(method, keyword, args[nargs + i], place) < 0)
      return -1;
  }
  for (int i = 0; i < required; i++) {
    if (values[i] == NULL)
      return missing(method, names[i]);
  }
  return 0;
}

PyObject *arguments_only(const char *method, PyObject *name, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *keywords) {
  PyObject *only;

  return arguments_by_name(method, &name, 1, 1, args, nargs, keywords, &only) < 0 ? NULL : only;
}
