/* Watched descriptors: add_reader(), add_writer() and what undoes them. */

#include "watch.h"

#include <limits.h>

#include "arguments.h"
#include "callee.h"
#include "loop.h"

/* The descriptor that a file object stood for when it was watched, -1 if it was not. */
static long known_descriptor(struct loop *loop, PyObject *file) {
  PyObject *number, *known;
  Py_ssize_t place = 0;

  while (loop->watched_files != NULL && PyDict_Next(loop->watched_files, &place, &number, &known)) {
    if (known == file)
      return PyLong_AsLong(number);
  }
  return -1;
}

/* Notes the file object that stands for a descriptor, NULL for none. Returns 0, or -1 with an exception. */
static int note_file(struct loop *loop, int fd, PyObject *file) {
  PyObject *number;
  int failed;

  if (loop->watched_files == NULL && (file == NULL || (loop->watched_files = PyDict_New()) == NULL))
    return file == NULL ? 0 : -1;
  if ((number = PyLong_FromLong(fd)) == NULL)
    return -1;
  if (file != NULL)
    failed = PyDict_SetItem(loop->watched_files, number, file);
  else if ((failed = PyDict_Contains(loop->watched_files, number)) > 0)
    failed = PyDict_DelItem(loop->watched_files, number);
  Py_DECREF(number);
  return failed;
}

/* The descriptor that an argument stands for: an int, or an object with fileno(); one that was
   closed meanwhile is recognised. Returns -1 with an exception. */
static int descriptor_of(struct loop *loop, PyObject *object) {
  PyObject *number = object;
  int overflow;
  long fd;

  if (!PyLong_Check(object)) {
    number = PyObject_CallMethodNoArgs(object, loop->state->str_fileno);
    if (number != NULL)
      Py_SETREF(number, PyNumber_Long(number));
    if (number == NULL) {
      if (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_TypeError) ||
          PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "Invalid file object: %R", object);
      }
      return -1;
    }
  } else {
    Py_INCREF(number);
  }
  fd = PyLong_AsLongAndOverflow(number, &overflow);
  if (fd < 0 && !PyLong_Check(object))
    fd = known_descriptor(loop, object);
  if (overflow > 0 || fd >= INT_MAX) {
    PyErr_SetString(PyExc_OverflowError, "Python int too large to convert to C int");
    fd = -1;
  } else if (fd < 0) {
    PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %S", number);
    fd = -1;
  }
  Py_DECREF(number);
  return (int)fd;
}

int watch_check_unclaimed(struct loop *loop, int fd, PyObject *object) {
  PyObject *claimant = poll_claimant(&loop->poll, fd);

  if (claimant == NULL)
    return 0;
  PyErr_Format(PyExc_RuntimeError, "File descriptor %R is used by transport %R", object, claimant);
  return -1;
}

static PyObject *add(struct loop *loop, const struct call *call, enum poll_direction direction) {
  struct handle *handle;
  void *displaced[2];
  int fd, failed;

  if ((fd = descriptor_of(loop, call->first)) < 0 || watch_check_unclaimed(loop, fd, call->first) < 0 ||
      loop_check_open(loop) < 0)
    return NULL;
  if ((handle = handle_new(loop, call->callback, call->args, call->nargs, NULL)) == NULL)
    return NULL;
  if (loop_check_open(loop) < 0 || note_file(loop, fd, PyLong_Check(call->first) ? NULL : call->first) < 0 ||
      loop_check_open(loop) < 0) { /* each may run other code */
    Py_DECREF(handle);
    return NULL;
  }
  failed = poll_add(&loop->poll, fd, direction, handle, displaced); /* the table takes over the reference */
  if (failed) {
    PyErr_SetFromErrno(PyExc_OSError);
    Py_DECREF(handle);
  }
  /* all is in order: what follows may run any code */
  callee_displaced(displaced[POLL_READ]);
  callee_displaced(displaced[POLL_WRITE]);
  if (failed)
    return NULL;
  Py_RETURN_NONE;
}

static PyObject *take_away(struct loop *loop, PyObject *object, enum poll_direction direction) {
  void *callee;
  int fd;

  if ((fd = descriptor_of(loop, object)) < 0 && PyErr_ExceptionMatches(PyExc_OverflowError)) {
    PyErr_Clear(); /* no such descriptor can be watched */
    Py_RETURN_FALSE;
  }
  if (fd < 0 || watch_check_unclaimed(loop, fd, object) < 0)
    return NULL;
  if (loop->closed)
    Py_RETURN_FALSE;
  callee = poll_callee(&loop->poll, fd, direction);
  if (!poll_remove(&loop->poll, fd, direction, callee))
    Py_RETURN_FALSE;
  if (poll_callee(&loop->poll, fd, !direction) == NULL && note_file(loop, fd, NULL) < 0)
    PyErr_WriteUnraisable(object);
  callee_displaced(callee);
  Py_RETURN_TRUE;
}

/* The arguments of add_reader() and add_writer(). */
static PyObject *parse_and_add(PyObject *self, const char *method, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *keywords, enum poll_direction direction) {
  struct loop *loop = (struct loop *)self;
  struct signature signature = {method, loop->state->str_fd, false};
  struct call call;

  if (arguments_of_call(loop->state, &signature, args, nargs, keywords, &call) < 0)
    return NULL;
  return add(loop, &call, direction);
}

/* The argument of remove_reader() and remove_writer(). */
static PyObject *parse_and_take_away(PyObject *self, const char *method, PyObject *const *args, Py_ssize_t nargs,
                                     PyObject *keywords, enum poll_direction direction) {
  struct loop *loop = (struct loop *)self;
  PyObject *fd = arguments_only(method, loop->state->str_fd, args, nargs, keywords);

  return fd != NULL ? take_away(loop, fd, direction) : NULL;
}

PyDoc_STRVAR(add_reader_doc, "add_reader($self, fd, callback, *args)\n--\n\n"
                             "Call callback(*args) in each iteration in which fd is readable.");

static PyObject *add_reader(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  return parse_and_add(self, "add_reader", args, nargs, keywords, POLL_READ);
}

PyDoc_STRVAR(add_writer_doc, "add_writer($self, fd, callback, *args)\n--\n\n"
                             "Call callback(*args) in each iteration in which fd is writable.");

static PyObject *add_writer(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  return parse_and_add(self, "add_writer", args, nargs, keywords, POLL_WRITE);
}

PyDoc_STRVAR(remove_reader_doc, "remove_reader($self, fd)\n--\n\n"
                                "Stop watching fd for reading; returns whether it was watched.");

static PyObject *remove_reader(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  return parse_and_take_away(self, "remove_reader", args, nargs, keywords, POLL_READ);
}

PyDoc_STRVAR(remove_writer_doc, "remove_writer($self, fd)\n--\n\n"
                                "Stop watching fd for writing; returns whether it was watched.");

static PyObject *remove_writer(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  return parse_and_take_away(self, "remove_writer", args, nargs, keywords, POLL_WRITE);
}

PyMethodDef loop_watch_methods[] = {
    {"add_reader", WITH_KEYWORDS(add_reader), add_reader_doc},
    {"add_writer", WITH_KEYWORDS(add_writer), add_writer_doc},
    {"remove_reader", WITH_KEYWORDS(remove_reader), remove_reader_doc},
    {"remove_writer", WITH_KEYWORDS(remove_writer), remove_writer_doc},
    {NULL, NULL, 0, NULL},
};
