/* pattern() and verify_pattern(): the pattern for Python. */
#include "module.h"

#include "pattern.h"

#define WORTH_RELEASING 65536

int fk_check_pattern_range(unsigned long long offset, Py_ssize_t size) {
  if (offset > FK_PATTERN_LIMIT || (uint64_t)size > FK_PATTERN_LIMIT - offset) {
    PyErr_SetString(PyExc_ValueError, "offset + size must not be above 2**62");
    return -1;
  }
  return 0;
}

int fk_unsigned_argument(PyObject *value, unsigned long long *result, const char *name) {
  PyObject *number = PyNumber_Index(value);
  if (number == NULL) {
    return -1;
  }
  *result = PyLong_AsUnsignedLongLong(number);
  Py_DECREF(number);
  if (PyErr_Occurred() != NULL) {
    if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
      PyErr_Format(PyExc_ValueError, "%s must be from 0 to 2**64 - 1, not %R", name, value);
    }
    return -1;
  }
  return 0;
}

static PyObject *pattern(PyObject *module, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"seed", "size", "offset", NULL};
  PyObject *seed_value;
  PyObject *offset_value = NULL;
  unsigned long long seed;
  unsigned long long offset = 0;
  Py_ssize_t size;
  (void)module;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "On|O:pattern", names, &seed_value, &size, &offset_value) ||
      fk_unsigned_argument(seed_value, &seed, "seed") < 0 ||
      (offset_value != NULL && fk_unsigned_argument(offset_value, &offset, "offset") < 0)) {
    return NULL;
  }
  if (size < 0) {
    PyErr_Format(PyExc_ValueError, "size must not be negative, not %zd", size);
    return NULL;
  }
  if (fk_check_pattern_range(offset, size) < 0) {
    return NULL;
  }
  PyObject *result = PyBytes_FromStringAndSize(NULL, size);
  if (result == NULL) {
    return NULL;
  }
  uint8_t *target = (uint8_t *)PyBytes_AS_STRING(result);
  if (size < WORTH_RELEASING) {
    fk_pattern_fill(target, (size_t)size, seed, offset);
  } else {
    Py_BEGIN_ALLOW_THREADS;
    fk_pattern_fill(target, (size_t)size, seed, offset);
    Py_END_ALLOW_THREADS;
  }
  return result;
}

static PyObject *verify_pattern(PyObject *module, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"buffer", "seed", "offset", NULL};
  PyObject *seed_value;
  PyObject *offset_value = NULL;
  unsigned long long seed;
  unsigned long long offset = 0;
  Py_buffer view;
  PyObject *result = NULL;
  (void)module;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*O|O:verify_pattern", names, &view, &seed_value, &offset_value)) {
    return NULL;
  }
  if (fk_unsigned_argument(seed_value, &seed, "seed") < 0 ||
      (offset_value != NULL && fk_unsigned_argument(offset_value, &offset, "offset") < 0) ||
      fk_check_pattern_range(offset, view.len) < 0) {
    goto done;
  }
  size_t size = (size_t)view.len;
  size_t right;
  if (size < WORTH_RELEASING) {
    right = fk_pattern_mismatch(view.buf, size, seed, offset);
  } else {
    Py_BEGIN_ALLOW_THREADS;
    right = fk_pattern_mismatch(view.buf, size, seed, offset);
    Py_END_ALLOW_THREADS;
  }
  result = right == size ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(offset + right);
done:
  PyBuffer_Release(&view);
  return result;
}

PyDoc_STRVAR(pattern_doc, "pattern($module, /, seed, size, offset=0)\n--\n\n"
                          "Return bytes offset to offset + size of the endless pseudo-random stream of a seed.\n\n"
                          "seed: 0 to 2**64 - 1. Raises ValueError for numbers out of range, MemoryError.");
PyDoc_STRVAR(verify_pattern_doc,
             "verify_pattern($module, /, buffer, seed, offset=0)\n--\n\n"
             "Compare a bytes-like object with the stream of a seed from offset on.\n\n"
             "Returns None if all of it is right, else the offset in the stream of the first wrong byte.");

PyMethodDef fk_pattern_methods[] = {
    {"pattern", (PyCFunction)(void (*)(void))pattern, METH_VARARGS | METH_KEYWORDS, pattern_doc},
    {"verify_pattern", (PyCFunction)(void (*)(void))verify_pattern, METH_VARARGS | METH_KEYWORDS, verify_pattern_doc},
    {NULL, NULL, 0, NULL},
};
