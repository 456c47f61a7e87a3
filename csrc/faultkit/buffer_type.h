/* The parts of the type GuardedBuffer: the object, its constructor's arguments, and the buffer protocol. */
#ifndef LOOPPROOF_FAULTKIT_BUFFER_TYPE_H
#define LOOPPROOF_FAULTKIT_BUFFER_TYPE_H

#include "module.h"

#include "guarded.h"
#include "guards.h"
#include "layout.h"

/* What the constructor was asked for. The references are borrowed, but for `format` and `contents`. */
struct fk_buffer_arguments {
  Py_buffer contents; /* obj is NULL if there are none */
  size_t size;
  const char *name;
  enum fk_flush flush;
  size_t align;
  bool readonly;
  PyObject *format; /* bytes */
  bool shaped;      /* a shape was given */
  struct fk_layout layout;
  Py_ssize_t length; /* bytes of all items */
  Py_ssize_t offset; /* of the first item */
  PyObject *refusal;
};

/* One Py_buffer that has not come back. The list of them, like the rest of the object, is guarded by the GIL, which the
 * module does not declare that it can do without: a free-threaded build turns it on for the module. */
struct fk_export {
  struct fk_export *next;
  PyObject *code; /* of the Python function that asked, or that called the C function that did; or NULL */
  int line;
  int flags;
  unsigned long thread;
};

typedef struct {
  PyObject_HEAD struct fk_guarded memory;
  struct fk_guarded former; /* what it had before it was resized: inaccessible, so that pointers into it are caught */
  struct fk_layout layout;
  Py_ssize_t length;
  Py_ssize_t offset;
  PyObject *name;
  PyObject *format;  /* bytes */
  PyObject *refusal; /* raised by the next exports; or None */
  size_t align;
  enum fk_flush flush;
  bool readonly;
  bool shaped;
  bool c_contiguous;
  bool f_contiguous;
  struct fk_export *exports;
  Py_ssize_t export_count;
  Py_ssize_t surplus; /* releases of buffers that were not exported, or not any more */
  int busy;           /* methods that use the memory without the GIL */
} BufferObject;

/* Translate and check the arguments. On success the caller calls fk_clear_buffer_arguments(); on failure returns -1
 * with an exception set. */
int fk_parse_buffer_arguments(PyObject *args, PyObject *kwargs, struct fk_buffer_arguments *arguments);
void fk_clear_buffer_arguments(struct fk_buffer_arguments *arguments);

/* A number as the `what` of an error. Returns -1 with an exception set if it is none, or too large. */
Py_ssize_t fk_index(PyObject *value, const char *what);

/* Check a value for `refusal`: None, or an exception. Returns 0, or -1 with an exception set. */
int fk_check_refusal(PyObject *value);

/* Raise ValueError if the buffer was released. Returns 0 or -1. */
int fk_check_buffer(BufferObject *self);

/* The slots bf_getbuffer and bf_releasebuffer. */
int fk_buffer_export(BufferObject *self, Py_buffer *view, int flags);
void fk_buffer_take_back(BufferObject *self, Py_buffer *view);

/* Find out anew what contiguous buffers the layout can be exported as. */
void fk_buffer_note_layout(BufferObject *self);

/* The exports that are out, as a tuple of str. */
PyObject *fk_buffer_exported_by(BufferObject *self);

#endif
