/* The buffer protocol of GuardedBuffer, and the account of who has got a buffer. */
#include "buffer_type.h"

#include <pythread.h>

int fk_check_buffer(BufferObject *self) {
  if (self->memory.released) {
    PyErr_Format(PyExc_ValueError, "guarded buffer %R was released", self->name);
    return -1;
  }
  return 0;
}

void fk_buffer_note_layout(BufferObject *self) {
  Py_buffer view = {
      .len = self->length,
      .itemsize = self->layout.itemsize,
      .ndim = self->layout.dimensions,
      .shape = self->layout.shape,
      .strides = self->layout.strides,
  };
  self->c_contiguous = PyBuffer_IsContiguous(&view, 'C');
  self->f_contiguous = PyBuffer_IsContiguous(&view, 'F');
}

static bool asks(int flags, int what) { return (flags & what) == what; }

/* Why a request cannot be met, NULL if it can; the same requests as memoryview refuses. */
static const char *objection(const BufferObject *self, int flags) {
  if (asks(flags, PyBUF_WRITABLE) && self->readonly) {
    return "it is read-only";
  }
  if (asks(flags, PyBUF_C_CONTIGUOUS) && !self->c_contiguous) {
    return "it is not C-contiguous";
  }
  if (asks(flags, PyBUF_F_CONTIGUOUS) && !self->f_contiguous) {
    return "it is not Fortran-contiguous";
  }
  if (asks(flags, PyBUF_ANY_CONTIGUOUS) && !self->c_contiguous && !self->f_contiguous) {
    return "it is not contiguous";
  }
  if (!asks(flags, PyBUF_STRIDES) && !self->c_contiguous) {
    return "it is not C-contiguous and strides were not asked for";
  }
  if (!asks(flags, PyBUF_ND) && asks(flags, PyBUF_FORMAT)) {
    return "the format was asked for and the shape was not";
  }
  return NULL;
}

static struct fk_export *new_export(int flags) {
  struct fk_export *made = PyMem_Calloc(1, sizeof *made);
  if (made == NULL) {
    PyErr_NoMemory();
    return NULL;
  }
  PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
  if (frame != NULL) {
    made->code = (PyObject *)PyFrame_GetCode(frame);
    made->line = PyFrame_GetLineNumber(frame);
  }
  made->flags = flags;
  made->thread = PyThread_get_thread_native_id();
  return made;
}

int fk_buffer_export(BufferObject *self, Py_buffer *view, int flags) {
  if (view == NULL) {
    PyErr_SetString(PyExc_BufferError, "a view is needed");
    return -1;
  }
  view->obj = NULL;
  if (fk_check_buffer(self) < 0) {
    return -1;
  }
  if (self->refusal != Py_None) {
    PyObject *type = PyExceptionClass_Check(self->refusal) ? self->refusal : (PyObject *)Py_TYPE(self->refusal);
    PyErr_SetObject(type, type == self->refusal ? NULL : self->refusal);
    return -1;
  }
  const char *reason = objection(self, flags);
  if (reason != NULL) {
    PyErr_Format(PyExc_BufferError, "guarded buffer %R: %s", self->name, reason);
    return -1;
  }
  struct fk_export *export = new_export(flags);
  if (export == NULL) {
    return -1;
  }
  export->next = self->exports;
  self->exports = export;
  self->export_count++;
  bool shape = asks(flags, PyBUF_ND);
  bool scalar = self->layout.dimensions == 0;
  view->buf = self->memory.data + self->offset;
  view->obj = Py_NewRef(self);
  view->len = self->length;
  view->itemsize = self->layout.itemsize;
  view->readonly = self->readonly;
  view->ndim = shape ? self->layout.dimensions : 1;
  view->format = asks(flags, PyBUF_FORMAT) ? PyBytes_AS_STRING(self->format) : NULL;
  view->shape = shape && !scalar ? self->layout.shape : NULL;
  view->strides = asks(flags, PyBUF_STRIDES) && !scalar ? self->layout.strides : NULL;
  view->suboffsets = NULL;
  view->internal = export;
  return 0;
}

void fk_buffer_take_back(BufferObject *self, Py_buffer *view) {
  struct fk_export **link = &self->exports;
  while (*link != NULL && *link != view->internal) {
    link = &(*link)->next;
  }
  struct fk_export *export = *link;
  if (export == NULL) { /* a copy of a Py_buffer that has been released: whoever does so gives up a reference, too */
    Py_INCREF(self);
    self->surplus++;
    return;
  }
  *link = export->next;
  self->export_count--;
  Py_XDECREF(export->code);
  PyMem_Free(export);
}

static PyObject *describe(const struct fk_export *export) {
  if (export->code == NULL) {
    return PyUnicode_FromFormat("no Python function, flags 0x%x, thread %lu", (unsigned)export->flags, export->thread);
  }
  PyObject *file = PyObject_GetAttrString(export->code, "co_filename");
  PyObject *function = PyObject_GetAttrString(export->code, "co_qualname");
  PyObject *text = NULL;
  if (file != NULL && function != NULL) {
    text = PyUnicode_FromFormat("%S:%d in %S, flags 0x%x, thread %lu", file, export->line, function,
                                (unsigned)export->flags, export->thread);
  }
  Py_XDECREF(file);
  Py_XDECREF(function);
  return text;
}

PyObject *fk_buffer_exported_by(BufferObject *self) {
  Py_ssize_t count = self->export_count;
  PyObject *result = PyTuple_New(count);
  struct fk_export *copies = PyMem_Calloc((size_t)count + 1, sizeof *copies);
  if (result == NULL || copies == NULL) {
    Py_XDECREF(result);
    PyMem_Free(copies);
    return PyErr_NoMemory();
  }
  Py_ssize_t copied = 0; /* describing may run Python code, which may take exports back */
  for (struct fk_export *export = self->exports; export != NULL && copied < count; export = export->next) {
    copies[copied] = *export;
    Py_XINCREF(copies[copied++].code);
  }
  for (Py_ssize_t i = 0; i < copied; i++) {
    PyObject *text = result == NULL ? NULL : describe(&copies[i]);
    if (text == NULL) {
      Py_CLEAR(result);
    } else {
      PyTuple_SET_ITEM(result, i, text);
    }
    Py_XDECREF(copies[i].code);
  }
  PyMem_Free(copies);
  return result;
}
