/* What differs between the versions of CPython. */

#ifndef REFLOOP_COMPAT_H
#define REFLOOP_COMPAT_H

#include <Python.h>

#include <stdbool.h>
#include <string.h>

/* Takes the exception that is set, with its traceback. Returns a new reference, NULL if none is
 * set. */
static inline PyObject *take_exception(void) {
#if PY_VERSION_HEX >= 0x030C0000
  return PyErr_GetRaisedException();
#else
  PyObject *type, *value, *traceback;

  PyErr_Fetch(&type, &value, &traceback);
  if (type == NULL)
    return NULL;
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != NULL)
    PyException_SetTraceback(value, traceback);
  Py_DECREF(type);
  Py_XDECREF(traceback);
  return value;
#endif
}

/* Sets an exception again; steals the reference, which may be NULL. */
static inline void give_exception(PyObject *exception) {
#if PY_VERSION_HEX >= 0x030C0000
  PyErr_SetRaisedException(exception);
#else
  if (exception == NULL) {
    PyErr_Clear();
    return;
  }
  PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception, PyException_GetTraceback(exception));
#endif
}

/* The descriptor that a socket object keeps right after the object's head, as long as there have been socket objects;
   whoever uses this makes sure that it is. */
static inline int number_in_socket(PyObject *socket) { return *(const int *)((const char *)socket + sizeof(PyObject)); }

/* Whether nobody but the caller has a bytes object. */
static inline bool bytes_are_unshared(PyObject *bytes) {
#ifdef Py_GIL_DISABLED
  (void)bytes;
  return false;
#else
  return Py_REFCNT(bytes) == 1;
#endif
}

/* Gives other contents, for which its memory has room, and which may be there already, to a bytes object that nobody
   else has: as if it were a new one in the same place. */
static inline void bytes_renew(PyObject *bytes, const char *contents, size_t size) {
  char *start = PyBytes_AS_STRING(bytes);

  Py_SET_SIZE((PyVarObject *)bytes, (Py_ssize_t)size);
  if (start != contents)
    memcpy(start, contents, size);
  start[size] = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  ((PyBytesObject *)bytes)->ob_shash = -1; /* there is no other way to have it forget its hash */
#pragma GCC diagnostic pop
}

#endif
