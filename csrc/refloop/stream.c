/* SocketTransport: a stream over a connected TCP or UNIX socket. */

#include "stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "flow.h"
#include "loop.h"
#include "reading.h"
#include "writing.h"

static ssize_t receive(int fd, void *memory, size_t size) { return recv(fd, memory, size, 0); }

static ssize_t send_bytes(int fd, const void *memory, size_t size) { return send(fd, memory, size, MSG_NOSIGNAL); }

static ssize_t send_vector(int fd, const struct iovec *vector, size_t count) {
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)vector, .msg_iovlen = count};

  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* eof_received() decides whether the connection stays open for writing. */
static int at_end(struct transport *transport) {
  struct core_state *state = transport->loop->state;
  PyObject *protocol = Py_NewRef(transport->protocol), *answer;
  int keep_open = -1;

  if (transport->loop->debug && transport_log(transport, state->str_debug, "%r received EOF", NULL) < 0)
    PyErr_WriteUnraisable((PyObject *)transport);
  transport->ended = true;
  answer = PyObject_CallMethodNoArgs(protocol, state->str_eof_received);
  Py_DECREF(protocol);
  if (answer != NULL) {
    keep_open = PyObject_IsTrue(answer);
    Py_DECREF(answer);
  }
  if (keep_open < 0)
    return transport_fatal(transport, "Fatal error: protocol.eof_received() call failed.");
  if (!keep_open)
    return transport_begin_close(transport);
  pollee_unwatch(transport->loop, &transport->reading);
  return 0;
}

/* Ends our stream. Returns 0, or -1 with an exception. */
static int shut_down(struct transport *transport) {
  errno = EBADF;
  if (transport_owns_fd(transport) && shutdown(transport->fd, SHUT_WR) == 0)
    return 0;
  PyErr_SetFromErrno(PyExc_OSError);
  return -1;
}

static int end_stream(struct transport *transport) {
  return shut_down(transport) < 0 ? transport_fatal(transport, transport->kind->write_failed) : 0;
}

static bool is_os_error(PyObject *exception) { return PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_OSError); }

static PyObject *refuse(PyObject *data) {
#if PY_VERSION_HEX >= 0x030E0000
  static const char text[] = "data argument must be a bytes, bytearray, or memoryview object, not %R";
#else
  static const char text[] = "data argument must be a bytes-like object, not %R";
#endif
  PyObject *name = PyType_GetName(Py_TYPE(data));

  if (name != NULL)
    PyErr_Format(PyExc_TypeError, text, name);
  Py_XDECREF(name);
  return NULL;
}

static const struct transport_kind socket_kind = {
    .receive = receive,
    .send = send_bytes,
    .send_vector = send_vector,
    .read = reading_read,
    .at_end = at_end,
    .end_stream = end_stream,
    .describe = stream_describe,
    .is_quiet = is_os_error,
    .refuse = refuse,
    .read_failed = "Fatal read error on socket transport",
    .write_failed = "Fatal write error on socket transport",
    .data_failed = "Fatal error: protocol.data_received() call failed.",
    .write_after_loss = "socket.send() raised exception.",
    .data_failure_is_fatal = true,
    .half_open_writes = true,
};

/* Small writes are sent at once, without waiting for acknowledgements. Other sockets than those of TCP do not know
   this, and refuse. */
static void set_no_delay(struct transport *transport) {
  int on = 1;

  (void)setsockopt(transport->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* As stream_new(), of this type. */
static PyObject *new_stream(PyTypeObject *type, const struct transport_arguments *arguments,
                            const struct stream_socket *socket) {
  struct stream *stream = (struct stream *)type->tp_alloc(type, 0);
  struct transport *transport = (struct transport *)stream; /* which it begins with */

  if (stream == NULL || transport_set_up(transport, &socket_kind, arguments) < 0)
    goto fail;
  if (socket != NULL) {
    stream->family = socket->family;
    stream->protocol = socket->protocol;
  } else if (transport_set_extra(transport, transport->loop->state->str_socket,
                                 PyObject_CallOneArg(transport->loop->state->transport_socket_type, arguments->file)) <
             0) {
    goto fail;
  }
  if (stream_note_names(stream, arguments->file, socket) < 0)
    goto fail;
  set_no_delay(transport);
  if (poll_claim(&transport->loop->poll, transport->fd, transport) < 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    goto fail;
  }
  if (transport_start(transport, arguments) < 0)
    goto fail;
  return (PyObject *)stream;

fail:
  Py_XDECREF((PyObject *)stream);
  return NULL;
}

PyObject *stream_new(const struct transport_arguments *arguments, const struct stream_socket *socket) {
  return new_stream(arguments->loop->state->socket_transport_type, arguments, socket);
}

static bool is_server(struct core_state *state, PyObject *server) {
  if (server == NULL || server == Py_None || PyObject_TypeCheck(server, state->server_type))
    return true;
  PyErr_Format(PyExc_TypeError, "server must be a refloop._core.Server, not %.200s", Py_TYPE(server)->tp_name);
  return false;
}

static PyObject *stream_type_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
  static const char *const names[] = {"loop", "sock", "protocol", "waiter", "extra", "server", "context", NULL};
  struct core_state *state = PyModule_GetState(PyType_GetModuleByDef(type, &core_module));
  struct transport_arguments arguments = {0};

  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!OO|OOOO:SocketTransport", (char **)(uintptr_t)names,
                                   state->loop_type, &arguments.loop, &arguments.file, &arguments.protocol,
                                   &arguments.waiter, &arguments.extra, &arguments.server, &arguments.context) ||
      !is_server(state, arguments.server))
    return NULL;
  return new_stream(type, &arguments, NULL);
}

/* The attributes of a socket object that tell what it is of. Returns 0, or -1 with an exception. */
static int look_at(PyObject *object, struct stream_socket *socket) {
  PyObject *family = PyObject_GetAttrString(object, "family"), *protocol = PyObject_GetAttrString(object, "proto");

  if (family != NULL && protocol != NULL) {
    socket->family = (sa_family_t)PyLong_AsLong(family);
    socket->protocol = (int)PyLong_AsLong(protocol);
  }
  Py_XDECREF(family);
  Py_XDECREF(protocol);
  return PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(adopt_doc, "_adopt($type, loop, sock, protocol, waiter, context, /)\n--\n\n"
                        "A transport of the descriptor of a socket.SocketType, which is detached from it.");

static PyObject *adopt(PyObject *type, PyObject *args) {
  struct core_state *state = PyModule_GetState(PyType_GetModuleByDef((PyTypeObject *)type, &core_module));
  struct transport_arguments arguments = {0};
  struct stream_socket socket = {0};
  PyObject *object, *stream, *number;

  if (!PyArg_ParseTuple(args, "O!O!OOO:_adopt", state->loop_type, &arguments.loop, state->socket_type, &object,
                        &arguments.protocol, &arguments.waiter, &arguments.context) ||
      (arguments.fd = PyObject_AsFileDescriptor(object)) < 0 || look_at(object, &socket) < 0)
    return NULL;
  if ((stream = new_stream((PyTypeObject *)type, &arguments, &socket)) == NULL)
    return NULL;
  number = PyObject_CallMethodNoArgs(object, state->str_detach);
  if (number == NULL) /* there was no memory for the number: it is detached all the same */
    PyErr_Clear();
  Py_XDECREF(number);
  return stream;
}

PyDoc_STRVAR(write_eof_doc, "write_eof($self, /)\n--\n\nEnd the stream when what is queued is written.");

static PyObject *write_eof(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct transport *transport = (struct transport *)self;

  if (!transport->closing && !transport->eof) {
    transport->eof = true;
    if (transport->queue.count == 0 && shut_down(transport) < 0)
      return NULL;
  }
  Py_RETURN_NONE;
}

static PyObject *repr(PyObject *self) {
  struct transport *transport = (struct transport *)self;
  PyObject *name = PyType_GetName(Py_TYPE(self)), *text;
  const char *state = !transport->open ? " closed" : transport->closing ? " closing" : "";

  if (name == NULL)
    return NULL;
  if (!transport->open || transport->loop->closed)
    text = PyUnicode_FromFormat("<%U%s fd=%d>", name, state, transport->fd);
  else
    text = PyUnicode_FromFormat("<%U%s fd=%d read=%s write=<%s, bufsize=%zu>>", name, state, transport->fd,
                                transport->reading.watched ? "polling" : "idle",
                                transport->writing.watched ? "polling" : "idle", transport->queue.bytes);
  Py_DECREF(name);
  return text;
}

static PyMethodDef methods[] = {
    TRANSPORT_METHODS,
    READING_METHODS,
    WRITING_METHODS,
    FLOW_METHODS,
    {"write_eof", write_eof, METH_NOARGS, write_eof_doc},
    {"_adopt", adopt, METH_VARARGS | METH_CLASS, adopt_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     (void *)"SocketTransport(loop, sock, protocol, waiter=None, extra=None, server=None, context=None)\n--\n\n"
             "A transport over a connected stream socket, which it takes over."},
    {Py_tp_new, (void *)stream_type_new},
    {Py_tp_repr, (void *)repr},
    {Py_tp_methods, methods},
    TRANSPORT_SLOTS,
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "refloop._core.SocketTransport",
    .basicsize = sizeof(struct stream),
    .flags = TRANSPORT_FLAGS,
    .slots = slots,
};

int stream_type_init(PyObject *module) {
  struct core_state *state = PyModule_GetState(module);

  state->socket_transport_type = transport_make_type(module, "Transport", &spec);
  return state->socket_transport_type != NULL ? 0 : -1;
}
