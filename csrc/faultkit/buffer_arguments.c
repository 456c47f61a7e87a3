/* The arguments of GuardedBuffer: sizes, format, shape and strides, checked against each other. */
#include "buffer_type.h"

#include <string.h>

Py_ssize_t fk_index(PyObject *value, const char *what) {
  if (!PyIndex_Check(value)) {
    PyErr_Format(PyExc_TypeError, "%s must be an int, not %.100s", what, Py_TYPE(value)->tp_name);
    return -1;
  }
  Py_ssize_t number = PyNumber_AsSsize_t(value, PyExc_OverflowError);
  if (number == -1 && PyErr_Occurred() != NULL && PyErr_ExceptionMatches(PyExc_OverflowError)) {
    PyErr_Format(PyExc_ValueError, "%s must be from -2**63 to 2**63 - 1, not %R", what, value);
  }
  return number;
}

static int parse_source(PyObject *source, struct fk_buffer_arguments *arguments) {
  if (PyIndex_Check(source)) {
    Py_ssize_t size = fk_index(source, "the size");
    if (size < 0) {
      if (PyErr_Occurred() == NULL) {
        PyErr_Format(PyExc_ValueError, "the size must not be negative, not %zd", size);
      }
      return -1;
    }
    arguments->size = (size_t)size;
    return 0;
  }
  if (PyObject_CheckBuffer(source) == 0) {
    PyErr_Format(PyExc_TypeError, "source must be a size in bytes or a bytes-like object, not %.100s",
                 Py_TYPE(source)->tp_name);
    return -1;
  }
  if (PyObject_GetBuffer(source, &arguments->contents, PyBUF_FULL_RO) < 0) {
    return -1;
  }
  arguments->size = (size_t)arguments->contents.len;
  return 0;
}

static int parse_name(PyObject *name, struct fk_buffer_arguments *arguments) {
  Py_ssize_t size;
  arguments->name = PyUnicode_AsUTF8AndSize(name, &size);
  if (arguments->name == NULL) {
    return -1;
  }
  if (size >= FK_GUARD_NAME || strlen(arguments->name) != (size_t)size) {
    PyErr_Format(PyExc_ValueError, "the name must be at most %d bytes of UTF-8, none of them zero, not %R",
                 FK_GUARD_NAME - 1, name);
    return -1;
  }
  return 0;
}

static int parse_flush(const char *flush, struct fk_buffer_arguments *arguments) {
  if (strcmp(flush, "upper") != 0 && strcmp(flush, "lower") != 0) {
    PyErr_Format(PyExc_ValueError, "flush must be 'upper' or 'lower', not '%.100s'", flush);
    return -1;
  }
  arguments->flush = strcmp(flush, "upper") == 0 ? FK_UPPER : FK_LOWER;
  return 0;
}

static int parse_align(PyObject *value, struct fk_buffer_arguments *arguments) {
  Py_ssize_t align = value == NULL ? 1 : fk_index(value, "align");
  if (align == -1 && PyErr_Occurred() != NULL) {
    return -1;
  }
  if (align < 1 || (size_t)align > fk_page_size() || (align & (align - 1)) != 0) {
    PyErr_Format(PyExc_ValueError, "align must be a power of two from 1 to %zu, not %zd", fk_page_size(), align);
    return -1;
  }
  arguments->align = (size_t)align;
  return 0;
}

static int parse_format(PyObject *format, struct fk_buffer_arguments *arguments) {
  arguments->format = PyUnicode_AsUTF8String(format);
  if (arguments->format == NULL) {
    return -1;
  }
  const char *text = PyBytes_AS_STRING(arguments->format);
  Py_ssize_t size = -1;
  if (strlen(text) == (size_t)PyBytes_GET_SIZE(arguments->format)) {
    size = PyBuffer_SizeFromFormat(text);
    if (size < 0 && (PyErr_ExceptionMatches(PyExc_MemoryError) || PyErr_ExceptionMatches(PyExc_ImportError) ||
                     !PyErr_ExceptionMatches(PyExc_Exception))) {
      return -1; /* says nothing of the format */
    }
    PyErr_Clear();
  }
  if (size < 1) {
    PyErr_Format(PyExc_ValueError, "format must be one of the module struct for at least one byte, not %R", format);
    return -1;
  }
  arguments->layout.itemsize = size;
  return 0;
}

/* Translate a tuple or list of at most FK_MOST_DIMENSIONS numbers, none below `least`. Returns how many there are, or
   -1 with an exception set. */
static int parse_numbers(PyObject *value, const char *what, Py_ssize_t least, Py_ssize_t *numbers) {
  if (!PyTuple_Check(value) && !PyList_Check(value)) {
    PyErr_Format(PyExc_TypeError, "%s must be a tuple of int, not %.100s", what, Py_TYPE(value)->tp_name);
    return -1;
  }
  char item[32];
  PyOS_snprintf(item, sizeof item, "an item of %s", what);
  PyObject *items = PySequence_Tuple(value); /* a copy: __index__ of an item may change a list */
  if (items == NULL) {
    return -1;
  }
  Py_ssize_t count = PyTuple_GET_SIZE(items);
  if (count > FK_MOST_DIMENSIONS) {
    PyErr_Format(PyExc_ValueError, "%s must have at most %d items, not %zd", what, FK_MOST_DIMENSIONS, count);
    count = -1;
  }
  for (Py_ssize_t i = 0; i < count; i++) {
    numbers[i] = fk_index(PyTuple_GET_ITEM(items, i), item);
    if (numbers[i] == -1 && PyErr_Occurred() != NULL) {
      count = -1;
    } else if (numbers[i] < least) {
      PyErr_Format(PyExc_ValueError, "%s must not have negative items like %zd", what, numbers[i]);
      count = -1;
    }
  }
  Py_DECREF(items);
  return (int)count;
}

static int parse_shape(PyObject *shape, struct fk_buffer_arguments *arguments) {
  struct fk_layout *layout = &arguments->layout;
  arguments->shaped = shape != Py_None;
  if (!arguments->shaped) {
    if (arguments->size % (size_t)layout->itemsize != 0) {
      PyErr_Format(PyExc_ValueError, "the size must be a multiple of the %zd bytes of an item, not %zu",
                   layout->itemsize, arguments->size);
      return -1;
    }
    layout->dimensions = 1;
    layout->shape[0] = (Py_ssize_t)arguments->size / layout->itemsize;
  } else {
    layout->dimensions = parse_numbers(shape, "shape", 0, layout->shape);
    if (layout->dimensions < 0) {
      return -1;
    }
  }
  if (fk_layout_length(layout, &arguments->length) < 0) {
    PyErr_Format(PyExc_ValueError, "shape %R comes to more than 2**63 - 1 bytes", shape);
    return -1;
  }
  return 0;
}

static int parse_strides(PyObject *strides, PyObject *shape, struct fk_buffer_arguments *arguments) {
  struct fk_layout *layout = &arguments->layout;
  if (strides == Py_None) {
    if ((size_t)arguments->length != arguments->size) {
      PyErr_Format(PyExc_ValueError,
                   "shape %R comes to %zd bytes and the size is %zu: they must agree, or strides given", shape,
                   arguments->length, arguments->size);
      return -1;
    }
    if (fk_layout_pack(layout) < 0) {
      PyErr_Format(PyExc_ValueError, "shape %R comes to more than 2**63 - 1 bytes", shape);
      return -1;
    }
    return 0;
  }
  if (!arguments->shaped) {
    PyErr_SetString(PyExc_ValueError, "strides need a shape");
    return -1;
  }
  int count = parse_numbers(strides, "strides", PY_SSIZE_T_MIN, layout->strides);
  if (count >= 0 && count != layout->dimensions) {
    PyErr_Format(PyExc_ValueError, "shape has %d items and strides have %d", layout->dimensions, count);
    return -1;
  }
  return count < 0 ? -1 : 0;
}

/* Check that all items lie in the memory. */
static int parse_offset(PyObject *offset, struct fk_buffer_arguments *arguments) {
  Py_ssize_t lowest;
  Py_ssize_t end;
  if (fk_layout_span(&arguments->layout, &lowest, &end) < 0) {
    PyErr_SetString(PyExc_ValueError, "shape and strides span more than 2**63 - 1 bytes");
    return -1;
  }
  arguments->offset =
      offset == Py_None ? (lowest == PY_SSIZE_T_MIN ? PY_SSIZE_T_MAX : -lowest) : fk_index(offset, "offset");
  if (arguments->offset == -1 && PyErr_Occurred() != NULL) {
    return -1;
  }
  Py_ssize_t size = (Py_ssize_t)arguments->size;
  if (arguments->offset < 0 || arguments->offset > size || lowest < -arguments->offset ||
      end > size - arguments->offset) {
    PyErr_Format(PyExc_ValueError,
                 "the items span bytes %zd to %zd from the first one, which is at offset %zd: outside of the %zd bytes "
                 "of memory",
                 lowest, end, arguments->offset, size);
    return -1;
  }
  return 0;
}

int fk_check_refusal(PyObject *value) {
  if (value != Py_None && !PyExceptionInstance_Check(value) && !PyExceptionClass_Check(value)) {
    PyErr_Format(PyExc_TypeError, "refusal must be an exception or None, not %R", value);
    return -1;
  }
  return 0;
}

int fk_parse_buffer_arguments(PyObject *args, PyObject *kwargs, struct fk_buffer_arguments *arguments) {
  static char *names[] = {"source", "name",    "flush",  "align",   "readonly", "format",
                          "shape",  "strides", "offset", "refusal", NULL};
  PyObject *source;
  PyObject *name = NULL;
  const char *flush = "upper";
  PyObject *align = NULL;
  int readonly = 0;
  PyObject *format = NULL;
  PyObject *shape = Py_None;
  PyObject *strides = Py_None;
  PyObject *offset = Py_None;
  memset(arguments, 0, sizeof *arguments);
  arguments->refusal = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$UsOpUOOOO:GuardedBuffer", names, &source, &name, &flush, &align,
                                   &readonly, &format, &shape, &strides, &offset, &arguments->refusal)) {
    return -1;
  }
  arguments->readonly = readonly;
  arguments->name = "buffer";
  arguments->layout.itemsize = 1;
  if ((name != NULL && parse_name(name, arguments) < 0) || parse_flush(flush, arguments) < 0 ||
      parse_align(align, arguments) < 0 || fk_check_refusal(arguments->refusal) < 0 ||
      parse_source(source, arguments) < 0) {
    return -1;
  }
  if (format == NULL) {
    arguments->format = PyBytes_FromString("B");
  }
  if ((format == NULL ? arguments->format == NULL : parse_format(format, arguments) < 0) ||
      parse_shape(shape, arguments) < 0 || parse_strides(strides, shape, arguments) < 0 ||
      parse_offset(offset, arguments) < 0) {
    fk_clear_buffer_arguments(arguments);
    return -1;
  }
  return 0;
}

void fk_clear_buffer_arguments(struct fk_buffer_arguments *arguments) {
  Py_CLEAR(arguments->format);
  PyBuffer_Release(&arguments->contents); /* does nothing if there are none */
}
