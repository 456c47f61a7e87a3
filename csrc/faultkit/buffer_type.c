/* The type GuardedBuffer: guarded memory for Python. */
#include "buffer_type.h"

#include <errno.h>

#include "buffer_docs.h"
#include "crash.h"
#include "pattern.h"

/* Raise what an errno of fk_guarded_map() and its like means. */
static void raise_errno(int reason, size_t size) {
  if (reason == ENOMEM) {
    PyErr_Format(PyExc_MemoryError, "no address space for a guarded buffer of %zu bytes", size);
  } else {
    errno = reason;
    PyErr_SetFromErrno(PyExc_OSError);
  }
}

static int map(BufferObject *self, const struct fk_buffer_arguments *arguments) {
  struct fk_guarded memory;
  int reason = fk_crash_keep_reporting();
  if (reason == 0) {
    reason = fk_guarded_map(&memory, arguments->name, arguments->size, arguments->align, arguments->flush);
  }
  if (reason != 0) {
    raise_errno(reason, arguments->size);
    return -1;
  }
  Py_buffer contents = arguments->contents;
  if (contents.obj != NULL && PyBuffer_ToContiguous(memory.data, &contents, contents.len, 'C') < 0) {
    fk_guarded_unmap(&memory);
    return -1;
  }
  reason = arguments->readonly ? fk_guarded_protect(&memory) : 0;
  if (reason != 0) {
    fk_guarded_unmap(&memory);
    raise_errno(reason, arguments->size);
    return -1;
  }
  self->memory = memory;
  return 0;
}

static PyObject *buffer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  struct fk_buffer_arguments arguments;
  if (fk_parse_buffer_arguments(args, kwargs, &arguments) < 0) {
    return NULL;
  }
  BufferObject *self = (BufferObject *)type->tp_alloc(type, 0);
  if (self != NULL) {
    self->memory.released = true; /* until there is some: the collector's lists show the object */
    self->format = Py_NewRef(arguments.format);
    self->refusal = Py_NewRef(arguments.refusal);
    self->layout = arguments.layout;
    self->length = arguments.length;
    self->offset = arguments.offset;
    self->align = arguments.align;
    self->flush = arguments.flush;
    self->readonly = arguments.readonly;
    self->shaped = arguments.shaped;
    self->name = PyUnicode_FromString(arguments.name);
    fk_buffer_note_layout(self);
    if (self->name == NULL || map(self, &arguments) < 0) {
      Py_CLEAR(self);
    }
  }
  fk_clear_buffer_arguments(&arguments);
  return (PyObject *)self;
}

static int buffer_traverse(BufferObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(self->refusal);
  return 0;
}

/* The slot stays valid: somebody may yet ask for a buffer. */
static int buffer_clear(BufferObject *self) {
  if (self->refusal != NULL) {
    Py_SETREF(self->refusal, Py_NewRef(Py_None));
  }
  return 0;
}

static void buffer_dealloc(BufferObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  fk_guarded_unmap(&self->former);
  fk_guarded_unmap(&self->memory);
  Py_XDECREF(self->name);
  Py_XDECREF(self->format);
  Py_XDECREF(self->refusal);
  type->tp_free(self);
  Py_DECREF(type);
}

/* Raise BufferError if methods or, unless `revoking`, others use the memory. Returns 0 or -1. */
static int check_unused(BufferObject *self, bool revoking) {
  if (self->busy > 0) {
    PyErr_Format(PyExc_BufferError, "guarded buffer %R is in use by fill() or verify()", self->name);
    return -1;
  }
  if (!revoking && self->export_count > 0) {
    PyObject *who = fk_buffer_exported_by(self);
    if (who != NULL) {
      PyErr_Format(PyExc_BufferError, "guarded buffer %R has exports that have not come back: %R", self->name, who);
      Py_DECREF(who);
    }
    return -1;
  }
  return 0;
}

/* What check() has to tell, a new str, None if there is nothing. */
static PyObject *complaint(BufferObject *self) {
  ptrdiff_t offset;
  if (!self->memory.released && fk_guarded_damage(&self->memory, &offset)) {
    return PyUnicode_FromFormat("guarded buffer %R: something was written at offset %zd (size %zu)", self->name,
                                (Py_ssize_t)offset, self->memory.size);
  }
  if (self->surplus > 0) {
    return PyUnicode_FromFormat("guarded buffer %R: buffers were released %zd times more often than exported",
                                self->name, self->surplus);
  }
  Py_RETURN_NONE;
}

/* Steals the reference. Returns None, or NULL with AssertionError set. */
static PyObject *complain(PyObject *told) {
  if (told != NULL && told != Py_None) {
    PyErr_SetObject(PyExc_AssertionError, told);
    Py_CLEAR(told);
  }
  return told;
}

static PyObject *buffer_check(BufferObject *self, PyObject *unused) {
  (void)unused;
  return complain(complaint(self));
}

static int take_away(BufferObject *self) {
  int reason = fk_guarded_release(&self->memory, false);
  if (reason != 0) {
    raise_errno(reason, self->memory.size);
  }
  return reason == 0 ? 0 : -1;
}

static PyObject *buffer_release(BufferObject *self, PyObject *unused) {
  (void)unused;
  if (self->memory.released) {
    Py_RETURN_NONE;
  }
  PyObject *told = complaint(self);
  if (told == NULL || check_unused(self, false) < 0 || take_away(self) < 0) {
    Py_XDECREF(told);
    return NULL;
  }
  return complain(told);
}

static PyObject *buffer_revoke(BufferObject *self, PyObject *unused) {
  (void)unused;
  if (!self->memory.released && (check_unused(self, true) < 0 || take_away(self) < 0)) {
    return NULL;
  }
  Py_RETURN_NONE;
}

/* Give the buffer other memory. Returns 0, or -1 with an exception set. */
static int move(BufferObject *self, size_t size) {
  struct fk_guarded memory;
  const char *name = PyUnicode_AsUTF8(self->name);
  if (name == NULL) {
    return -1;
  }
  int reason = fk_guarded_map(&memory, name, size, self->align, self->flush);
  if (reason != 0) {
    raise_errno(reason, size);
    return -1;
  }
  fk_guarded_copy(&memory, &self->memory, size < self->memory.size ? size : self->memory.size);
  reason = fk_guarded_release(&self->memory, true);
  if (reason != 0) {
    fk_guarded_unmap(&memory);
    raise_errno(reason, size);
    return -1;
  }
  fk_guarded_unmap(&self->former);
  self->former = self->memory;
  self->memory = memory;
  return 0;
}

static PyObject *buffer_resize(BufferObject *self, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"size", NULL};
  PyObject *value;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:resize", names, &value)) {
    return NULL;
  }
  Py_ssize_t size = fk_index(value, "the size");
  if ((size == -1 && PyErr_Occurred() != NULL) || fk_check_buffer(self) < 0) {
    return NULL;
  }
  if (self->readonly || self->shaped) {
    PyErr_Format(PyExc_BufferError, "guarded buffer %R cannot be resized: %s", self->name,
                 self->readonly ? "it is read-only" : "its shape was given");
    return NULL;
  }
  if (size < 0 || size % self->layout.itemsize != 0) {
    PyErr_Format(PyExc_ValueError, "the size must be a multiple of the %zd bytes of an item, not %zd",
                 self->layout.itemsize, size);
    return NULL;
  }
  if (check_unused(self, false) < 0 || move(self, (size_t)size) < 0) {
    return NULL;
  }
  self->length = size;
  self->layout.shape[0] = size / self->layout.itemsize;
  fk_buffer_note_layout(self);
  Py_RETURN_NONE;
}

/* A part of a pattern, and of the memory from its start. */
struct part {
  unsigned long long seed;
  unsigned long long offset;
  size_t size;
};

static int parse_part(BufferObject *self, PyObject *args, PyObject *kwargs, const char *format, struct part *part) {
  static char *names[] = {"seed", "size", "offset", NULL};
  PyObject *seed;
  PyObject *size = Py_None;
  PyObject *offset = NULL;
  part->offset = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, format, names, &seed, &size, &offset) ||
      fk_unsigned_argument(seed, &part->seed, "seed") < 0 ||
      (offset != NULL && fk_unsigned_argument(offset, &part->offset, "offset") < 0)) {
    return -1;
  }
  Py_ssize_t wanted = size == Py_None ? 0 : PyNumber_AsSsize_t(size, NULL); /* the nearest number that there is */
  if (wanted == -1 && PyErr_Occurred() != NULL) {
    return -1;
  }
  if (wanted < 0 || (size_t)wanted > self->memory.size) { /* only now: the code of a number may have resized it */
    PyErr_Format(PyExc_ValueError, "size must be from 0 to %zu, not %R", self->memory.size, size);
    return -1;
  }
  part->size = size == Py_None ? self->memory.size : (size_t)wanted;
  return fk_check_pattern_range(part->offset, (Py_ssize_t)part->size) < 0 ? -1 : fk_check_buffer(self);
}

static PyObject *buffer_fill(BufferObject *self, PyObject *args, PyObject *kwargs) {
  struct part part;
  if (parse_part(self, args, kwargs, "O|OO:fill", &part) < 0) {
    return NULL;
  }
  if (self->readonly) {
    PyErr_Format(PyExc_TypeError, "guarded buffer %R is read-only", self->name);
    return NULL;
  }
  uint8_t *data = self->memory.data;
  self->busy++;
  Py_BEGIN_ALLOW_THREADS;
  fk_pattern_fill(data, part.size, part.seed, part.offset);
  Py_END_ALLOW_THREADS;
  self->busy--;
  Py_RETURN_NONE;
}

static PyObject *buffer_verify(BufferObject *self, PyObject *args, PyObject *kwargs) {
  struct part part;
  if (parse_part(self, args, kwargs, "O|OO:verify", &part) < 0) {
    return NULL;
  }
  const uint8_t *data = self->memory.data;
  size_t right;
  self->busy++;
  Py_BEGIN_ALLOW_THREADS;
  right = fk_pattern_mismatch(data, part.size, part.seed, part.offset);
  Py_END_ALLOW_THREADS;
  self->busy--;
  return right == part.size ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(part.offset + right);
}

static Py_ssize_t buffer_length(BufferObject *self) {
  if (fk_check_buffer(self) < 0) {
    return -1;
  }
  if (self->layout.dimensions == 0) {
    PyErr_SetString(PyExc_TypeError, "a buffer without dimensions has no length");
    return -1;
  }
  return self->layout.shape[0];
}

static PyObject *buffer_subscript(PyObject *self, PyObject *key) {
  PyObject *view = PyMemoryView_FromObject(self);
  PyObject *item = view == NULL ? NULL : PyObject_GetItem(view, key);
  Py_XDECREF(view);
  return item;
}

static int buffer_assign(PyObject *self, PyObject *key, PyObject *value) {
  PyObject *view = PyMemoryView_FromObject(self);
  if (view == NULL) {
    return -1;
  }
  int outcome = value == NULL ? PyObject_DelItem(view, key) : PyObject_SetItem(view, key, value);
  Py_DECREF(view);
  return outcome;
}

static PyObject *buffer_enter(BufferObject *self, PyObject *unused) {
  (void)unused;
  return fk_check_buffer(self) < 0 ? NULL : Py_NewRef(self);
}

static PyObject *buffer_exit(BufferObject *self, PyObject *args) {
  bool failing = PyTuple_GET_SIZE(args) > 0 && PyTuple_GET_ITEM(args, 0) != Py_None;
  return failing ? buffer_revoke(self, NULL) : buffer_release(self, NULL);
}

static PyObject *buffer_repr(BufferObject *self) {
  return PyUnicode_FromFormat("<GuardedBuffer %R, %zu bytes%s, exports: %zd%s>", self->name, self->memory.size,
                              self->readonly ? ", read-only" : "", self->export_count,
                              self->memory.released ? ", released" : "");
}

static PyObject *numbers(const Py_ssize_t *items, int count) {
  PyObject *tuple = PyTuple_New(count);
  for (int i = 0; tuple != NULL && i < count; i++) {
    PyObject *number = PyLong_FromSsize_t(items[i]);
    if (number == NULL) {
      Py_CLEAR(tuple);
    } else {
      PyTuple_SET_ITEM(tuple, i, number);
    }
  }
  return tuple;
}

#define ATTRIBUTE(attribute, value)                                                                                    \
  static PyObject *get_##attribute(BufferObject *self, void *closure) {                                                \
    (void)closure;                                                                                                     \
    return value;                                                                                                      \
  }
ATTRIBUTE(address, PyLong_FromVoidPtr(self->memory.data))
ATTRIBUTE(exported_by, fk_buffer_exported_by(self))
ATTRIBUTE(exports, PyLong_FromSsize_t(self->export_count))
ATTRIBUTE(format, PyUnicode_FromString(PyBytes_AS_STRING(self->format)))
ATTRIBUTE(itemsize, PyLong_FromSsize_t(self->layout.itemsize))
ATTRIBUTE(name, Py_NewRef(self->name))
ATTRIBUTE(nbytes, PyLong_FromSsize_t(self->length))
ATTRIBUTE(readonly, PyBool_FromLong(self->readonly))
ATTRIBUTE(refusal, Py_NewRef(self->refusal))
ATTRIBUTE(released, PyBool_FromLong(self->memory.released))
ATTRIBUTE(shape, numbers(self->layout.shape, self->layout.dimensions))
ATTRIBUTE(size, PyLong_FromSize_t(self->memory.size))
ATTRIBUTE(strides, numbers(self->layout.strides, self->layout.dimensions))

static int set_refusal(BufferObject *self, PyObject *value, void *closure) {
  (void)closure;
  value = value == NULL ? Py_None : value;
  if (fk_check_refusal(value) < 0) {
    return -1;
  }
  Py_SETREF(self->refusal, Py_NewRef(value));
  return 0;
}

#define METHOD(function) (PyCFunction)(void (*)(void)) function

static PyMethodDef buffer_methods[] = {
    {"check", METHOD(buffer_check), METH_NOARGS, check_doc},
    {"fill", METHOD(buffer_fill), METH_VARARGS | METH_KEYWORDS, fill_doc},
    {"release", METHOD(buffer_release), METH_NOARGS, release_doc},
    {"resize", METHOD(buffer_resize), METH_VARARGS | METH_KEYWORDS, resize_doc},
    {"revoke", METHOD(buffer_revoke), METH_NOARGS, revoke_doc},
    {"verify", METHOD(buffer_verify), METH_VARARGS | METH_KEYWORDS, verify_doc},
    {"__enter__", METHOD(buffer_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(buffer_exit), METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#define GETTER(function) (getter)(void (*)(void)) function

static PyGetSetDef buffer_attributes[] = {
    {"address", GETTER(get_address), NULL, "where the memory begins", NULL},
    {"exported_by", GETTER(get_exported_by), NULL,
     "who has got a buffer that has not come back, latest first: Python function, flags, native id of the thread",
     NULL},
    {"exports", GETTER(get_exports), NULL, "how many buffers have not come back", NULL},
    {"format", GETTER(get_format), NULL, "of an item, in the notation of the module struct", NULL},
    {"itemsize", GETTER(get_itemsize), NULL, "bytes of an item", NULL},
    {"name", GETTER(get_name), NULL, "how reports name the buffer", NULL},
    {"nbytes", GETTER(get_nbytes), NULL, "bytes of all items", NULL},
    {"readonly", GETTER(get_readonly), NULL, "whether writing is a crash", NULL},
    {"refusal", GETTER(get_refusal), (setter)(void (*)(void))set_refusal,
     "the exception that requests for a buffer raise, None if they are granted", NULL},
    {"released", GETTER(get_released), NULL, "whether it was released or revoked", NULL},
    {"shape", GETTER(get_shape), NULL, "items along each dimension", NULL},
    {"size", GETTER(get_size), NULL, "bytes of memory, those between items included", NULL},
    {"strides", GETTER(get_strides), NULL, "bytes from one item to the next, for each dimension", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot buffer_slots[] = {
    {Py_tp_doc, (void *)buffer_doc},
    {Py_tp_new, (void *)buffer_new},
    {Py_tp_dealloc, (void *)buffer_dealloc},
    {Py_tp_traverse, (void *)buffer_traverse},
    {Py_tp_clear, (void *)buffer_clear},
    {Py_tp_repr, (void *)buffer_repr},
    {Py_tp_methods, buffer_methods},
    {Py_tp_getset, buffer_attributes},
    {Py_mp_length, (void *)buffer_length},
    {Py_mp_subscript, (void *)buffer_subscript},
    {Py_mp_ass_subscript, (void *)buffer_assign},
    {Py_bf_getbuffer, (void *)fk_buffer_export},
    {Py_bf_releasebuffer, (void *)fk_buffer_take_back},
    {0, NULL},
};

static PyType_Spec buffer_spec = {
    .name = "loopproof.faultkit.GuardedBuffer",
    .basicsize = sizeof(BufferObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = buffer_slots,
};

int fk_add_buffer_type(PyObject *module) {
  PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &buffer_spec, NULL);
  int outcome = type == NULL ? -1 : PyModule_AddType(module, type);
  Py_XDECREF(type);
  return outcome;
}
