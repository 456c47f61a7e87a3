/* ReadPipeTransport and WritePipeTransport: one end of a pipe, or of what works like one: a FIFO, a socket, a terminal.
 */

#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "flow.h"
#include "loop.h"
#include "reading.h"
#include "transport.h"
#include "writing.h"

static ssize_t write_vector(int fd, const struct iovec *vector, size_t count) { return writev(fd, vector, (int)count); }

/* Says in debug mode that the other end is closed. */
static void log_end(struct transport *transport) {
  struct loop *loop = transport->loop;

  if (loop->debug && transport_log(transport, loop->state->str_info, "%r was closed by peer", NULL) < 0)
    PyErr_WriteUnraisable((PyObject *)transport);
}

/* The reading end: eof_received() is told, and cannot keep the transport open. */
static int at_end(struct transport *transport) {
  log_end(transport);
  if (transport_call_soon(transport, PyObject_GetAttr(transport->protocol, transport->loop->state->str_eof_received),
                          NULL) < 0)
    return -1;
  return transport_lose(transport, Py_None);
}

/* The writing end can be read from when nobody can read what it writes any more. */
static int reader_is_gone(struct transport *transport) {
  PyObject *exception;
  int failed;

  log_end(transport);
  exception = transport->queue.count == 0 ? Py_NewRef(Py_None) : PyObject_CallNoArgs(PyExc_BrokenPipeError);
  if (exception == NULL)
    return -1;
  failed = transport_lose(transport, exception);
  Py_DECREF(exception);
  return failed;
}

static bool is_os_error(PyObject *exception) { return PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_OSError); }

/* The end of a terminal is reported like that. */
static bool is_io_error(PyObject *exception) {
  PyObject *number = is_os_error(exception) ? PyObject_GetAttrString(exception, "errno") : NULL;
  bool is = number != NULL && PyLong_Check(number) && PyLong_AsLong(number) == EIO;

  Py_XDECREF(number);
  PyErr_Clear();
  return is;
}

static PyObject *refuse(PyObject *data) {
  PyErr_Format(PyExc_AssertionError, "%R", data);
  return NULL;
}

static const struct transport_kind read_kind = {
    .receive = read,
    .read = reading_read,
    .at_end = at_end,
    .is_quiet = is_io_error,
    .read_failed = "Fatal read error on pipe transport",
    .data_failed = "Exception in callback ReadPipeTransport._read_ready()",
};

static const struct transport_kind write_kind = {
    .send = write,
    .send_vector = write_vector,
    .read = reader_is_gone,
    .is_quiet = is_os_error,
    .refuse = refuse,
    .read_failed = "Fatal error on pipe transport",
    .write_failed = "Fatal write error on pipe transport",
    .write_after_loss = "pipe closed by peer or os.write(pipe, data) raised exception.",
};

/* Checks what the descriptor is of, and makes it not block. Returns the type of the file, or 0 with an exception. */
static mode_t prepare(int fd, const char *refusal) {
  struct stat about;
  int flags;

  if (fstat(fd, &about) < 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    return 0;
  }
  if (!S_ISFIFO(about.st_mode) && !S_ISSOCK(about.st_mode) && !S_ISCHR(about.st_mode)) {
    PyErr_SetString(PyExc_ValueError, refusal);
    return 0;
  }
  if ((flags = fcntl(fd, F_GETFL)) < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    return 0;
  }
  return about.st_mode & S_IFMT;
}

static PyObject *new_transport(PyTypeObject *type, PyObject *args, PyObject *keywords,
                               const struct transport_kind *kind, const char *refusal) {
  static const char *const names[] = {"loop", "pipe", "protocol", "waiter", "extra", NULL};
  struct core_state *state = PyModule_GetState(PyType_GetModuleByDef(type, &core_module));
  struct transport_arguments arguments = {0};
  struct transport *transport;
  mode_t file_type;

  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!OO|OO", (char **)(uintptr_t)names, state->loop_type,
                                   &arguments.loop, &arguments.file, &arguments.protocol, &arguments.waiter,
                                   &arguments.extra) ||
      (transport = (struct transport *)type->tp_alloc(type, 0)) == NULL)
    return NULL;
  if (transport_set_up(transport, kind, &arguments) < 0 || (file_type = prepare(transport->fd, refusal)) == 0 ||
      transport_set_extra(transport, state->str_pipe, Py_NewRef(arguments.file)) < 0)
    goto fail;
  /* from the writing end of a terminal nothing can be learned about the other end */
  transport->reads = kind == &read_kind || file_type != S_IFCHR;
  if (transport_start(transport, &arguments) < 0)
    goto fail;
  return (PyObject *)transport;

fail:
  Py_DECREF(transport);
  return NULL;
}

static PyObject *new_reader(PyTypeObject *type, PyObject *args, PyObject *keywords) {
  return new_transport(type, args, keywords, &read_kind, "Pipe transport is for pipes/sockets only.");
}

static PyObject *new_writer(PyTypeObject *type, PyObject *args, PyObject *keywords) {
  return new_transport(type, args, keywords, &write_kind,
                       "Pipe transport is only for pipes, sockets and character devices");
}

static PyObject *repr(PyObject *self) {
  struct transport *transport = (struct transport *)self;
  const char *state = !transport->open ? " closed" : transport->closing ? " closing" : "";
  bool writes = transport->kind == &write_kind;
  const char *activity = "closed";
  PyObject *name = PyType_GetName(Py_TYPE(self)), *text;

  if (name == NULL)
    return NULL;
  if (transport->open && transport->loop->closed)
    activity = "open";
  else if (transport->open)
    activity = (writes ? transport->writing : transport->reading).watched ? "polling" : "idle";
  if (writes && transport->open && !transport->loop->closed)
    text = PyUnicode_FromFormat("<%U%s fd=%d %s bufsize=%zu>", name, state, transport->fd, activity,
                                transport->queue.bytes);
  else
    text = PyUnicode_FromFormat("<%U%s fd=%d %s>", name, state, transport->fd, activity);
  Py_DECREF(name);
  return text;
}

PyDoc_STRVAR(write_eof_doc, "write_eof($self, /)\n--\n\nThe same as close(): the end of the pipe ends the stream.");

static PyMethodDef reader_methods[] = {TRANSPORT_METHODS, READING_METHODS, {NULL, NULL, 0, NULL}};

static PyMethodDef writer_methods[] = {
    TRANSPORT_METHODS,     WRITING_METHODS, FLOW_METHODS, {"write_eof", transport_close, METH_NOARGS, write_eof_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot reader_slots[] = {
    {Py_tp_doc, (void *)"ReadPipeTransport(loop, pipe, protocol, waiter=None, extra=None)\n--\n\n"
                        "A transport that reads from a pipe, which it takes over."},
    {Py_tp_new, (void *)new_reader},
    {Py_tp_repr, (void *)repr},
    {Py_tp_methods, reader_methods},
    TRANSPORT_SLOTS,
    {0, NULL},
};

static PyType_Slot writer_slots[] = {
    {Py_tp_doc, (void *)"WritePipeTransport(loop, pipe, protocol, waiter=None, extra=None)\n--\n\n"
                        "A transport that writes to a pipe, which it takes over."},
    {Py_tp_new, (void *)new_writer},
    {Py_tp_repr, (void *)repr},
    {Py_tp_methods, writer_methods},
    TRANSPORT_SLOTS,
    {0, NULL},
};

static PyType_Spec reader_spec = {
    .name = "refloop._core.ReadPipeTransport",
    .basicsize = sizeof(struct transport),
    .flags = TRANSPORT_FLAGS,
    .slots = reader_slots,
};

static PyType_Spec writer_spec = {
    .name = "refloop._core.WritePipeTransport",
    .basicsize = sizeof(struct transport),
    .flags = TRANSPORT_FLAGS,
    .slots = writer_slots,
};

int pipe_types_init(PyObject *module) {
  PyTypeObject *reader = transport_make_type(module, "ReadTransport", &reader_spec);
  PyTypeObject *writer = reader != NULL ? transport_make_type(module, "WriteTransport", &writer_spec) : NULL;

  Py_XDECREF(reader); /* the module has them */
  Py_XDECREF(writer);
  return writer != NULL ? 0 : -1;
}
