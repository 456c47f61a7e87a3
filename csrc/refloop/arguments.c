/* Arguments of methods whose parameters may be given by name. */

#include "arguments.h"

#include <string.h>

static bool is_named(PyObject *keyword, PyObject *name) {
  return keyword == name || PyUnicode_Compare(keyword, name) == 0;
}

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

int arguments_of_call(struct core_state *state, const struct signature *signature, PyObject *const *args,
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

    if (signature->context && is_named(keyword, state->str_context))
      place = &call->context;
    else if (is_named(keyword, state->str_callback))
      place = &call->callback;
    else if (signature->first != NULL && is_named(keyword, signature->first))
      place = &call->first;
    if (place_keyword(signature->method, keyword, args[nargs + i], place) < 0)
      return -1;
  }
  if (signature->first != NULL && call->first == NULL)
    return missing(signature->method, signature->first);
  return call->callback == NULL ? missing(signature->method, state->str_callback) : 0;
}

PyObject *arguments_only(const char *method, PyObject *name, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *keywords) {
  Py_ssize_t named = keywords != NULL ? PyTuple_GET_SIZE(keywords) : 0;
  PyObject *only = nargs > 0 ? args[0] : NULL;

  if (nargs > 1) {
    PyErr_Format(PyExc_TypeError, "%s() takes 1 positional argument but %zd were given", method, nargs);
    return NULL;
  }
  for (Py_ssize_t i = 0; i < named; i++) {
    PyObject *keyword = PyTuple_GET_ITEM(keywords, i);

    if (place_keyword(method, keyword, args[nargs + i], is_named(keyword, name) ? &only : NULL) < 0)
      return NULL;
  }
  if (only == NULL)
    (void)missing(method, name);
  return only;
}
