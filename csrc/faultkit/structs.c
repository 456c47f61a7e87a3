/* Struct sequences of the module, made of their values. */
#include "module.h"

PyObject *fk_struct_of(PyTypeObject *type, PyObject *const *values, Py_ssize_t count) {
  PyObject *result = PyStructSequence_New(type);
  bool complete = result != NULL;
  for (Py_ssize_t i = 0; i < count; i++) {
    complete = complete && values[i] != NULL;
    if (result != NULL) {
      PyStructSequence_SetItem(result, i, values[i]);
    } else {
      Py_XDECREF(values[i]);
    }
  }
  if (!complete) {
    Py_CLEAR(result);
  }
  return result;
}
