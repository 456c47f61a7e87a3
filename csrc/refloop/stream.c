/* SocketTransport: a stream over a connected TCP or UNIX socket. */

#include "stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "address.h"
#include "flow.h"
#include "loop.h"
#include "reading.h"
#include "transport.h"
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
    .is_quiet = is_os_error,
    .refuse = refuse,
    .read_failed = "Fatal read error on socket transport",
    .write_failed = "Fatal write error on socket transport",
    .data_failed = "Fatal error: protocol.data_received() call failed.",
    .write_after_loss = "socket.send() raised exception.",
    .data_failure_is_fatal = true,
    .half_open_writes = true,
};

typedef int (*namer)(int fd, struct sockaddr *address, socklen_t *length);

/* The name of this end or of the other one, asked of the kernel, or of the socket if its addresses are unknown here;
   None if there is none. */
static PyObject *name_of(struct transport *transport, PyObject *socket, namer ask, PyObject *method) {
  struct sockaddr_storage address;
  socklen_t length = sizeof(address);
  PyObject *name;

  if (ask(transport->fd, (struct sockaddr *)&address, &length) == 0 && address_is_known(address.ss_family))
    return address_object(&address, length);
  name = PyObject_CallMethodNoArgs(socket, method);
  if (name != NULL || !PyErr_ExceptionMatches(PyExc_OSError))
    return name;
  PyErr_Clear();
  Py_RETURN_NONE;
}

/* Puts an object into the extra information; steals the reference, and fails if that is NULL. */
static int set_extra(struct transport *transport, PyObject *key, PyObject *value) {
  int failed = value == NULL ? -1 : PyObject_SetItem(transport->extra, key, value);

  Py_XDECREF(value);
  return failed;
}

/* The extra information "socket", "sockname" and, unless it was given, "peername". */
static int describe(struct transport *transport, PyObject *socket) {
  struct core_state *state = transport->loop->state;
  int known;

  if (set_extra(transport, state->str_socket, PyObject_CallOneArg(state->transport_socket_type, socket)) < 0 ||
      set_extra(transport, state->str_sockname, name_of(transport, socket, getsockname, state->str_getsockname)) < 0 ||
      (known = PySequence_Contains(transport->extra, state->str_peername)) < 0)
    return -1;
  return known ? 0
               : set_extra(transport, state->str_peername,
                           name_of(transport, socket, getpeername, state->str_getpeername));
}

/* Small writes are sent at once, without waiting for acknowledgements. Other sockets than those of TCP do not know
   this, and refuse. */
static void set_no_delay(struct transport *transport) {
  int on = 1;

  (void)setsockopt(transport->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static PyObject *new_transport(PyTypeObject *type, const struct transport_arguments *arguments) {
  struct transport *transport = (struct transport *)type->tp_alloc(type, 0);

  if (transport == NULL)
    return NULL;
  if (transport_set_up(transport, &socket_kind, arguments) < 0 || describe(transport, arguments->file) < 0)
    goto fail;
  set_no_delay(transport);
  if (poll_claim(&transport->loop->poll, transport->fd, transport) < 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    goto fail;
  }
  if (transport_start(transport, arguments) < 0)
    goto fail;
  return (PyObject *)transport;

fail:
  Py_DECREF(transport);
  return NULL;
}

PyObject *stream_new(const struct transport_arguments *arguments) {
  return new_transport(arguments->loop->state->socket_transport_type, arguments);
}

static PyObject *stream_type_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
  static const char *const names[] = {"loop", "sock", "protocol", "waiter", "extra", "server", "context", NULL};
  struct core_state *state = PyModule_GetState(PyType_GetModuleByDef(type, &core_module));
  struct transport_arguments arguments = {0};

  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!OO|OOOO:SocketTransport", (char **)(uintptr_t)names,
                                   state->loop_type, &arguments.loop, &arguments.file, &arguments.protocol,
                                   &arguments.waiter, &arguments.extra, &arguments.server, &arguments.context))
    return NULL;
  return new_transport(type, &arguments);
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
  const char *state = transport->file == NULL ? " closed" : transport->closing ? " closing" : "";

  if (name == NULL)
    return NULL;
  if (transport->file == NULL || transport->loop->closed)
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
    .basicsize = sizeof(struct transport),
    .flags = TRANSPORT_FLAGS,
    .slots = slots,
};

int stream_type_init(PyObject *module) {
  struct core_state *state = PyModule_GetState(module);

  state->socket_transport_type = transport_make_type(module, "Transport", &spec);
  return state->socket_transport_type != NULL ? 0 : -1;
}
