/* Operations on sockets: sock_recv() and its like. What can be received or sent by a system call of our own on a plain
   socket is; all else, also each wrong argument, is left to the method of the socket. */

#include "sockops.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "accepting.h"
#include "address.h"
#include "arguments.h"
#include "compat.h"
#include "loop.h"
#include "reading.h"
#include "sockcall.h"

/* Whether the exception that is set says that a call would block; then it is cleared. */
static enum outcome blocked_or_failed(void) {
  if (!PyErr_ExceptionMatches(PyExc_BlockingIOError) && !PyErr_ExceptionMatches(PyExc_InterruptedError))
    return CALL_FAILED;
  PyErr_Clear();
  return CALL_BLOCKED;
}

/* Calls a method of the socket. */
static enum outcome call_method(struct socket_call *call, PyObject *name, PyObject *first, PyObject *second,
                                PyObject **result) {
  PyObject *stack[] = {call->sock, first, second};
  size_t nargs = first == NULL ? 1 : second == NULL ? 2 : 3;

  *result = PyObject_VectorcallMethod(name, stack, nargs, NULL);
  return *result != NULL ? CALL_DONE : blocked_or_failed();
}

/* Whether a method is the plain one, so that a system call can do its work: not if the socket is of another class, or
   the program has put something in the place of the method. Returns -1 with an exception. */
static int is_plain(struct socket_call *call, PyObject *name, PyObject *plain) {
  PyObject *method;

  if ((PyObject *)Py_TYPE(call->sock) != call->loop->state->python_socket_type)
    return 0;
  if ((method = PyObject_GetAttr((PyObject *)Py_TYPE(call->sock), name)) == NULL)
    return -1;
  Py_DECREF(method);
  return method == plain;
}

/* The outcome of a system call that failed with errno. CALL_DONE: it is to be made again. */
static enum outcome system_call_failed(void) {
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return CALL_BLOCKED;
  if (errno == EINTR)
    return PyErr_CheckSignals() < 0 ? CALL_FAILED : CALL_DONE;
  PyErr_SetFromErrno(PyExc_OSError);
  return CALL_FAILED;
}

/* recv() without waiting, also from a blocking socket. */
static enum outcome receive(struct socket_call *call, void *buffer, size_t size, ssize_t *got) {
  enum outcome outcome = CALL_DONE;

  if (socket_call_descriptor(call) < 0)
    return CALL_FAILED;
  while (outcome == CALL_DONE && (*got = recv(call->fd, buffer, size, MSG_DONTWAIT)) < 0)
    outcome = system_call_failed();
  return outcome;
}

/* Receives more than fits in the loop's buffer. */
static enum outcome receive_much(struct socket_call *call, Py_ssize_t size, PyObject **result) {
  PyObject *data = PyBytes_FromStringAndSize(NULL, size);
  enum outcome outcome;
  ssize_t got;

  if (data == NULL)
    return CALL_FAILED;
  outcome = receive(call, PyBytes_AS_STRING(data), (size_t)size, &got);
  if (outcome != CALL_DONE)
    Py_DECREF(data);
  else if (_PyBytes_Resize(&data, got) < 0)
    outcome = CALL_FAILED;
  else
    *result = data;
  return outcome;
}

static enum outcome attempt_recv(struct socket_call *call, PyObject **result) {
  struct core_state *state = call->loop->state;
  int plain = is_plain(call, state->str_recv, state->socket_recv);
  Py_ssize_t size = -1;
  enum outcome outcome;
  ssize_t got;

  if (plain < 0)
    return CALL_FAILED;
  if (plain && PyLong_CheckExact(call->args[0]) && (size = PyLong_AsSsize_t(call->args[0])) < 0)
    PyErr_Clear();
  if (size <= 0)
    return call_method(call, state->str_recv, call->args[0], NULL, result);
  if (size > (Py_ssize_t)READING_SIZE)
    return receive_much(call, size, result);
  if (reading_reserve(call->loop) < 0)
    return CALL_FAILED;
  if ((outcome = receive(call, call->loop->read_buffer, (size_t)size, &got)) != CALL_DONE)
    return outcome;
  *result = PyBytes_FromStringAndSize(call->loop->read_buffer, got);
  return *result != NULL ? CALL_DONE : CALL_FAILED;
}

static enum outcome attempt_recv_into(struct socket_call *call, PyObject **result) {
  struct core_state *state = call->loop->state;
  int plain = is_plain(call, state->str_recv_into, state->socket_recv_into);
  enum outcome outcome;
  Py_buffer view;
  ssize_t got;

  if (plain < 0)
    return CALL_FAILED;
  if (plain && PyObject_GetBuffer(call->args[0], &view, PyBUF_WRITABLE) < 0) {
    PyErr_Clear(); /* the method says what is wrong */
    plain = 0;
  }
  if (!plain)
    return call_method(call, state->str_recv_into, call->args[0], NULL, result);
  if (view.len > 0) {
    outcome = receive(call, view.buf, (size_t)view.len, &got);
  } else {
    outcome = CALL_DONE;
    got = 0;
  }
  PyBuffer_Release(&view);
  if (outcome != CALL_DONE)
    return outcome;
  *result = PyLong_FromSsize_t(got);
  return *result != NULL ? CALL_DONE : CALL_FAILED;
}

static enum outcome attempt_recvfrom(struct socket_call *call, PyObject **result) {
  return call_method(call, call->loop->state->str_recvfrom, call->args[0], NULL, result);
}

static enum outcome attempt_recvfrom_into(struct socket_call *call, PyObject **result) {
  PyObject *size = call->args[1];
  int given = size != NULL ? PyObject_IsTrue(size) : 0;

  if (given < 0)
    return CALL_FAILED;
  return call_method(call, call->loop->state->str_recvfrom_into, call->args[0], given ? size : NULL, result);
}

/* send() of what is left, without waiting, also to a blocking socket. */
static enum outcome send_plainly(struct socket_call *call, Py_ssize_t *sent) {
  const char *data = (const char *)call->data.buf + call->sent;
  enum outcome outcome = CALL_DONE;

  if (socket_call_descriptor(call) < 0)
    return CALL_FAILED;
  while (outcome == CALL_DONE &&
         (*sent = send(call->fd, data, (size_t)(call->data.len - call->sent), MSG_DONTWAIT | MSG_NOSIGNAL)) < 0)
    outcome = system_call_failed();
  return outcome;
}

/* What is left to be sent, as an object. */
static PyObject *unsent(struct socket_call *call) {
  PyObject *view, *bytes, *rest;

  if (call->sent == 0)
    return Py_NewRef(call->args[0]);
  if ((view = PyMemoryView_FromObject(call->args[0])) == NULL)
    return NULL;
  bytes = PyObject_CallMethod(view, "cast", "s", "B");
  Py_DECREF(view);
  if (bytes == NULL)
    return NULL;
  rest = PySequence_GetSlice(bytes, call->sent, call->data.len);
  Py_DECREF(bytes);
  return rest;
}

/* The same by the method of the socket. */
static enum outcome send_by_method(struct socket_call *call, Py_ssize_t *sent) {
  PyObject *data = unsent(call), *number;
  Py_ssize_t left = call->data.len - call->sent;
  enum outcome outcome;

  if (data == NULL)
    return CALL_FAILED;
  outcome = call_method(call, call->loop->state->str_send, data, NULL, &number);
  Py_DECREF(data);
  if (outcome != CALL_DONE)
    return outcome;
  *sent = PyLong_AsSsize_t(number);
  if ((*sent < 0 || *sent > left) && !PyErr_Occurred())
    PyErr_Format(PyExc_ValueError, "send() returned %R for %zd bytes", number, left);
  Py_DECREF(number);
  return PyErr_Occurred() ? CALL_FAILED : CALL_DONE;
}

static enum outcome attempt_sendall(struct socket_call *call, PyObject **result) {
  int plain = is_plain(call, call->loop->state->str_send, call->loop->state->socket_send);
  enum outcome outcome;
  Py_ssize_t sent;

  if (plain < 0 || (call->data.obj == NULL && PyObject_GetBuffer(call->args[0], &call->data, PyBUF_SIMPLE) < 0))
    return CALL_FAILED;
  outcome = plain ? send_plainly(call, &sent) : send_by_method(call, &sent);
  if (outcome != CALL_DONE)
    return outcome;
  call->sent += sent;
  if (call->sent < call->data.len)
    return CALL_BLOCKED;
  *result = Py_NewRef(Py_None);
  return CALL_DONE;
}

static enum outcome attempt_sendto(struct socket_call *call, PyObject **result) {
  return call_method(call, call->loop->state->str_sendto, call->args[0], call->args[1], result);
}

/* An attribute of the socket that is a small number. Returns 0, or -1 with an exception. */
static int number_of(struct socket_call *call, const char *name, int *value) {
  PyObject *number = PyObject_GetAttrString(call->sock, name);

  *value = number != NULL ? (int)PyLong_AsLong(number) : -1;
  Py_XDECREF(number);
  return PyErr_Occurred() ? -1 : 0;
}

/* accept() of a plain socket of this family. */
static enum outcome accept_plainly(struct socket_call *call, int family, PyObject **result) {
  struct sockaddr_storage peer;
  socklen_t length;
  PyObject *accepted, *address;
  enum outcome outcome = CALL_DONE;
  int type, protocol, fd;

  if (number_of(call, "type", &type) < 0 || number_of(call, "proto", &protocol) < 0 || socket_call_descriptor(call) < 0)
    return CALL_FAILED;
  while (outcome == CALL_DONE && (fd = accepting_accept(call->fd, &peer, &length)) < 0)
    outcome = system_call_failed();
  if (outcome != CALL_DONE)
    return outcome;
  if ((accepted = accepting_socket(call->loop->state, family, type, protocol, fd)) == NULL)
    return CALL_FAILED;
  address = address_object(&peer, length);
  *result = address != NULL ? PyTuple_Pack(2, accepted, address) : NULL;
  Py_XDECREF(address);
  Py_DECREF(accepted); /* without a result this closes it */
  return *result != NULL ? CALL_DONE : CALL_FAILED;
}

static enum outcome accept_by_method(struct socket_call *call, PyObject **result) {
  struct core_state *state = call->loop->state;
  enum outcome outcome = call_method(call, state->str_accept, NULL, NULL, result);
  PyObject *accepted, *done;

  if (outcome != CALL_DONE)
    return outcome;
  accepted = PySequence_GetItem(*result, 0);
  done = accepted != NULL ? PyObject_CallMethodOneArg(accepted, state->str_setblocking, Py_False) : NULL;
  Py_XDECREF(accepted);
  Py_XDECREF(done);
  if (done != NULL)
    return CALL_DONE;
  Py_CLEAR(*result);
  return CALL_FAILED;
}

static enum outcome attempt_accept(struct socket_call *call, PyObject **result) {
  struct core_state *state = call->loop->state;
  int plain = is_plain(call, state->str_accept, state->socket_accept), family = AF_UNSPEC;

  if (plain < 0 || (plain && number_of(call, "family", &family) < 0))
    return CALL_FAILED;
  return plain && address_is_known(family) ? accept_plainly(call, family, result) : accept_by_method(call, result);
}

/* No call at all: waits once. */
static enum outcome attempt_nothing(struct socket_call *call, PyObject **result) {
  if (!call->woken)
    return CALL_BLOCKED;
  *result = Py_NewRef(Py_None);
  return CALL_DONE;
}

static const struct socket_operation accept_operation = {"sock_accept", POLL_READ, attempt_accept};
static const struct socket_operation recv_operation = {"sock_recv", POLL_READ, attempt_recv};
static const struct socket_operation recv_into_operation = {"sock_recv_into", POLL_READ, attempt_recv_into};
static const struct socket_operation recvfrom_operation = {"sock_recvfrom", POLL_READ, attempt_recvfrom};
static const struct socket_operation recvfrom_into_operation = {"sock_recvfrom_into", POLL_READ, attempt_recvfrom_into};
static const struct socket_operation sendall_operation = {"sock_sendall", POLL_WRITE, attempt_sendall};
static const struct socket_operation sendto_operation = {"sock_sendto", POLL_WRITE, attempt_sendto};
static const struct socket_operation writable_operation = {"_sock_writable", POLL_WRITE, attempt_nothing};

/* The names of a method's parameters. */
struct parameters {
  PyObject *names[1 + SOCKET_CALL_ARGS];
  int count;
  int required;
};

/* Makes the coroutine of a call. */
static PyObject *start(PyObject *self, const struct socket_operation *operation, const struct parameters *parameters,
                       PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  PyObject *values[1 + SOCKET_CALL_ARGS] = {NULL};

  if (arguments_by_name(operation->name, parameters->names, parameters->count, parameters->required, args, nargs,
                        keywords, values) < 0)
    return NULL;
  return socket_call_new((struct loop *)self, operation, values[0], values + 1);
}

static struct core_state *state_of(PyObject *self) { return ((struct loop *)self)->state; }

PyDoc_STRVAR(sock_accept_doc, "sock_accept($self, sock)\n--\n\n"
                              "Accept a connection; returns its socket, which does not block, and the peer's address.");

static PyObject *sock_accept(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct parameters parameters = {{state_of(self)->str_sock}, 1, 1};

  return start(self, &accept_operation, &parameters, args, nargs, keywords);
}

PyDoc_STRVAR(sock_recv_doc, "sock_recv($self, sock, nbytes)\n--\n\n"
                            "Receive nbytes bytes at most; returns them, none at the end of the stream.");

static PyObject *sock_recv(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct parameters parameters = {{state_of(self)->str_sock, state_of(self)->str_nbytes}, 2, 2};

  return start(self, &recv_operation, &parameters, args, nargs, keywords);
}

PyDoc_STRVAR(sock_recv_into_doc, "sock_recv_into($self, sock, buf)\n--\n\n"
                                 "Receive into a writable buffer; returns how many bytes, 0 at the end of the stream.");

static PyObject *sock_recv_into(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct parameters parameters = {{state_of(self)->str_sock, state_of(self)->str_buf}, 2, 2};

  return start(self, &recv_into_operation, &parameters, args, nargs, keywords);
}

PyDoc_STRVAR(sock_recvfrom_doc, "sock_recvfrom($self, sock, bufsize)\n--\n\n"
                                "Receive a datagram of bufsize bytes at most; returns it and the sender's address.");

static PyObject *sock_recvfrom(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct parameters parameters = {{state_of(self)->str_sock, state_of(self)->str_bufsize}, 2, 2};

  return start(self, &recvfrom_operation, &parameters, args, nargs, keywords);
}

PyDoc_STRVAR(sock_recvfrom_into_doc,
             "sock_recvfrom_into($self, sock, buf, nbytes=0)\n--\n\n"
             "Receive a datagram of nbytes bytes at most (0: as many as fit) into a writable buffer; returns how many "
             "bytes, and the sender's address.");

static PyObject *sock_recvfrom_into(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct parameters parameters = {
      {state_of(self)->str_sock, state_of(self)->str_buf, state_of(self)->str_nbytes}, 3, 2};

  return start(self, &recvfrom_into_operation, &parameters, args, nargs, keywords);
}

PyDoc_STRVAR(sock_sendall_doc, "sock_sendall($self, sock, data)\n--\n\nSend all of the data.");

static PyObject *sock_sendall(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct parameters parameters = {{state_of(self)->str_sock, state_of(self)->str_data}, 2, 2};

  return start(self, &sendall_operation, &parameters, args, nargs, keywords);
}

PyDoc_STRVAR(sock_sendto_doc, "sock_sendto($self, sock, data, address)\n--\n\n"
                              "Send a datagram to the address; returns how many bytes were sent.");

static PyObject *sock_sendto(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct parameters parameters = {
      {state_of(self)->str_sock, state_of(self)->str_data, state_of(self)->str_address}, 3, 3};

  return start(self, &sendto_operation, &parameters, args, nargs, keywords);
}

PyDoc_STRVAR(sock_writable_doc, "_sock_writable($self, sock)\n--\n\nWait until the socket is writable.");

static PyObject *sock_writable(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct parameters parameters = {{state_of(self)->str_sock}, 1, 1};

  return start(self, &writable_operation, &parameters, args, nargs, keywords);
}

PyMethodDef loop_sock_methods[] = {
    {"sock_accept", WITH_KEYWORDS(sock_accept), sock_accept_doc},
    {"sock_recv", WITH_KEYWORDS(sock_recv), sock_recv_doc},
    {"sock_recv_into", WITH_KEYWORDS(sock_recv_into), sock_recv_into_doc},
    {"sock_recvfrom", WITH_KEYWORDS(sock_recvfrom), sock_recvfrom_doc},
    {"sock_recvfrom_into", WITH_KEYWORDS(sock_recvfrom_into), sock_recvfrom_into_doc},
    {"sock_sendall", WITH_KEYWORDS(sock_sendall), sock_sendall_doc},
    {"sock_sendto", WITH_KEYWORDS(sock_sendto), sock_sendto_doc},
    {"_sock_writable", WITH_KEYWORDS(sock_writable), sock_writable_doc},
    {NULL, NULL, 0, NULL},
};

/* Takes a method of the plain socket: that of the class in Python, or of the one that this is derived from. */
static int plain_method(void *type, PyObject *name, PyObject **method) {
  *method = PyObject_GetAttr(type, name);
  return *method != NULL ? 0 : -1;
}

/* Looks whether the descriptor of a new socket, which has none, is where we expect it. */
static int look_for_number(struct core_state *state) {
  PyObject *type = state->python_socket_type, *socket = PyObject_CallMethod(type, "__new__", "O", type);

  if (socket == NULL)
    return -1;
  state->sees_numbers = number_in_socket(socket) == -1;
  Py_DECREF(socket);
  return 0;
}

int sockops_init(PyObject *module) {
  struct core_state *state = PyModule_GetState(module);

  return socket_call_type_init(module) < 0 || look_for_number(state) < 0 ||
                 plain_method(state->python_socket_type, state->str_accept, &state->socket_accept) < 0 ||
                 plain_method(state->socket_type, state->str_recv, &state->socket_recv) < 0 ||
                 plain_method(state->socket_type, state->str_recv_into, &state->socket_recv_into) < 0 ||
                 plain_method(state->socket_type, state->str_send, &state->socket_send) < 0
             ? -1
             : 0;
}
