/* Listener: accepts the connections to one listening socket of a server, and makes their transports. Of Python only the
   protocol factory is called on the way. */

#include "listener.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accepting.h"
#include "address.h"
#include "callee.h"
#include "compat.h"
#include "errors.h"
#include "loop.h"
#include "stream.h"
#include "transport.h"

#define ACCEPTED_AT_ONCE 100 /* connections; after so many the others have their turn */
#define RETRY_DELAY 1.0      /* seconds until it is tried again after the system has run out of something */

struct listener {
  PyObject_HEAD struct loop *loop;
  PyObject *sock;    /* a listening socket that does not block; closed by its owner */
  PyObject *factory; /* of protocols */
  PyObject *server;  /* is told of the transports */
  PyObject *context; /* of which each connection gets a copy */
  PyObject *retry;   /* the timer after which it is tried again, or NULL */
  int family, type, protocol;
  bool plain; /* a system call does what accept() of the socket would do */
  struct pollee pollee;
};

/* What came of an attempt to accept. */
enum attempt { ACCEPTED, NOTHING_THERE, NONE_IS_LEFT, ATTEMPT_FAILED /* these two: with an exception */ };

/* A connection that was accepted, on its way to its transport. */
struct connection {
  PyObject *sock;               /* its object, owned; or NULL */
  int fd;                       /* the descriptor, if it has no object */
  struct sockaddr_storage peer; /* of which, then */
  socklen_t peer_length;
  PyObject *peername; /* owned, if it has an object */
  PyObject *protocol; /* owned, or NULL */
};

static struct listener *as_listener(PyObject *self) { return (struct listener *)self; }

static struct listener *listener_of(struct pollee *pollee) {
  return (struct listener *)((char *)pollee - offsetof(struct listener, pollee));
}

static struct core_state *state_of(struct listener *listener) { return listener->loop->state; }

/* Drops the result of a call. Returns 0, or -1 if it failed. */
static int done(PyObject *result) {
  Py_XDECREF(result);
  return result != NULL ? 0 : -1;
}

/* Ends an attempt that gave objects: it has failed if one of them is missing. */
static enum attempt accepted(struct connection *connection) {
  if (connection->sock != NULL && connection->peername != NULL)
    return ACCEPTED;
  Py_CLEAR(connection->sock); /* which closes it */
  Py_CLEAR(connection->peername);
  return ATTEMPT_FAILED;
}

/* What an error of accept() means, 0 if it is none of the system. */
static enum attempt outcome_of(int error) {
  switch (error) {
  case EAGAIN:
  case EINTR:        /* it is tried again in the next iteration */
  case ECONNABORTED: /* the same; a connection that was given up before it was accepted is not worth a word */
    return NOTHING_THERE;
  case EMFILE:
  case ENFILE:
  case ENOBUFS:
  case ENOMEM:
    return NONE_IS_LEFT;
  default:
    return ATTEMPT_FAILED;
  }
}

static enum attempt accept_by_call(struct listener *listener, struct connection *connection) {
  enum attempt outcome;

  connection->fd = accepting_accept(listener->pollee.fd, &connection->peer, &connection->peer_length);
  if (connection->fd < 0) {
    if ((outcome = outcome_of(errno)) != NOTHING_THERE)
      PyErr_SetFromErrno(PyExc_OSError);
    return outcome;
  }
  if (!listener->loop->debug)
    return ACCEPTED;
  /* both objects are logged */
  connection->sock =
      accepting_socket(state_of(listener), listener->family, listener->type, listener->protocol, connection->fd);
  if (connection->sock == NULL)
    return ATTEMPT_FAILED;
  connection->peername = address_object(&connection->peer, connection->peer_length);
  return accepted(connection);
}

/* The errno of the exception that is set; 0 if it has none. */
static int errno_of_exception(void) {
  PyObject *exception = take_exception(), *number = NULL;
  long error = 0;

  if (PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_OSError))
    number = ((PyOSErrorObject *)exception)->myerrno;
  if (number != NULL && PyLong_Check(number) && (error = PyLong_AsLong(number)) == -1)
    PyErr_Clear();
  give_exception(exception);
  return error > 0 && error < INT_MAX ? (int)error : 0;
}

static enum attempt accept_by_method(struct listener *listener, struct connection *connection) {
  PyObject *pair = PyObject_CallMethodNoArgs(listener->sock, state_of(listener)->str_accept), *sock;
  enum attempt outcome;

  if (pair == NULL) {
    if ((outcome = outcome_of(errno_of_exception())) == NOTHING_THERE)
      PyErr_Clear();
    return outcome;
  }
  sock = PySequence_GetItem(pair, 0);
  if (sock != NULL && done(PyObject_CallMethodOneArg(sock, state_of(listener)->str_setblocking, Py_False)) < 0)
    Py_CLEAR(sock);
  connection->sock = sock;
  connection->peername = sock != NULL ? PySequence_GetItem(pair, 1) : NULL;
  Py_DECREF(pair);
  return accepted(connection);
}

/* Logs a connection (debug mode). */
static int log_connection(struct listener *listener, const struct connection *connection) {
  return done(PyObject_CallMethod(state_of(listener)->logger, "debug", "sOOO", "%r got a new connection from %r: %r",
                                  listener->server, connection->peername, connection->sock));
}

/* Gives a report to the loop's exception handler; steals the reference, which is NULL if an exception is set. Returns
   0, or -1 with an exception that is to leave the run. */
static int report(struct listener *listener, PyObject *context) {
  int failed = -1;

  if (context != NULL)
    failed = done(
        PyObject_CallMethodOneArg((PyObject *)listener->loop, state_of(listener)->str_call_exception_handler, context));
  Py_XDECREF(context);
  return failed;
}

/* The exception that is set kept a connection from its transport. It is told in debug mode only, as by asyncio: the
   peer may provoke it. */
static int connection_failed(struct listener *listener, const struct connection *connection) {
  PyObject *exception, *context;

  if (errors_leave_run())
    return -1;
  exception = take_exception();
  context = listener->loop->debug
                ? Py_BuildValue("{sssO}", "message", "Error on transport creation for incoming connection", "exception",
                                exception)
                : NULL;
  Py_DECREF(exception);
  if (context != NULL && connection->protocol != NULL &&
      PyDict_SetItemString(context, "protocol", connection->protocol) < 0)
    Py_CLEAR(context);
  return context != NULL || PyErr_Occurred() ? report(listener, context) : 0;
}

/* The transport of a connection that has its protocol. Returns 0, or -1 with an exception. */
static int new_transport(struct listener *listener, PyObject *context, const struct connection *connection) {
  struct stream_socket socket = {.family = (sa_family_t)listener->family,
                                 .protocol = listener->protocol,
                                 .peer = &connection->peer,
                                 .peer_length = connection->peer_length};
  struct transport_arguments arguments = {.loop = listener->loop,
                                          .file = connection->sock,
                                          .fd = connection->fd,
                                          .protocol = connection->protocol,
                                          .server = listener->server};
  int failed;

#if PY_VERSION_HEX >= 0x030F0000
  arguments.context = context; /* that all callbacks run in */
#else
  (void)context;
#endif
  if (connection->sock == NULL)
    return done(stream_new(&arguments, &socket));
  if ((arguments.extra = PyDict_New()) == NULL)
    return -1;
  failed = PyDict_SetItem(arguments.extra, state_of(listener)->str_peername, connection->peername) < 0 ||
           done(stream_new(&arguments, NULL)) < 0;
  Py_DECREF(arguments.extra);
  return failed ? -1 : 0;
}

/* Makes the protocol and the transport of a connection. Returns 0, or -1 with an exception. */
static int make_transport(struct listener *listener, PyObject *context, struct connection *connection) {
  if (connection->sock != NULL && listener->loop->debug && log_connection(listener, connection) < 0)
    return -1;
  if ((connection->protocol = PyObject_CallNoArgs(listener->factory)) == NULL)
    return -1;
  if (!listener->pollee.watched) { /* the factory has closed the server */
    PyErr_SetString(PyExc_ConnectionAbortedError, "the server was closed before the connection had its transport");
    return -1;
  }
  return new_transport(listener, context, connection);
}

/* The same in a context of the connection's own. */
static int make_in_context(struct listener *listener, struct connection *connection) {
  PyObject *context = PyContext_Copy(listener->context), *exception;
  int failed = -1;

  if (context != NULL && PyContext_Enter(context) == 0) {
    failed = make_transport(listener, context, connection);
    exception = take_exception();
    (void)PyContext_Exit(context); /* fails only for a context that is not entered */
    give_exception(exception);
  }
  Py_XDECREF(context);
  return failed;
}

/* Closes a connection that got no transport. */
static void close_connection(struct listener *listener, struct connection *connection) {
  PyObject *exception = take_exception();

  if (connection->sock == NULL)
    (void)close(connection->fd);
  else if (done(PyObject_CallMethodNoArgs(connection->sock, state_of(listener)->str_close)) < 0)
    PyErr_WriteUnraisable(connection->sock);
  give_exception(exception);
}

/* The same, and all that may go wrong; releases the connection. Returns 0, or -1 with an exception that is to leave the
   run. */
static int begin_connection(struct listener *listener, struct connection *connection) {
  int failed = make_in_context(listener, connection);

  if (failed) {
    failed = connection_failed(listener, connection);
    close_connection(listener, connection);
  }
  Py_XDECREF(connection->sock);
  Py_XDECREF(connection->peername);
  Py_XDECREF(connection->protocol);
  return failed;
}

/* Reports the exception that is set, of the listening socket. */
static int report_attempt(struct listener *listener, const char *message) {
  PyObject *exception, *context = NULL, *wrapper;

  if (errors_leave_run())
    return -1;
  exception = take_exception();
  wrapper = PyObject_CallOneArg(state_of(listener)->transport_socket_type, listener->sock);
  if (wrapper != NULL)
    context = Py_BuildValue("{sssOsO}", "message", message, "exception", exception, "socket", wrapper);
  Py_XDECREF(wrapper);
  Py_DECREF(exception);
  return report(listener, context);
}

/* Has it tried again after a while, since the socket will stay readable; at once if there is no timer for that. */
static int wait_for_resources(struct listener *listener) {
  PyObject *exception = take_exception(), *start = PyObject_GetAttrString((PyObject *)listener, "start");
  PyObject *retry = NULL;

  if (start != NULL)
    retry = PyObject_CallMethod((PyObject *)listener->loop, "call_later", "dO", RETRY_DELAY, start);
  Py_XDECREF(start);
  if (retry != NULL) {
    Py_XSETREF(listener->retry, retry);
    pollee_unwatch(listener->loop, &listener->pollee);
    give_exception(exception);
  } else {
    Py_DECREF(exception);
  }
  return report_attempt(listener, "socket.accept() out of system resource");
}

/* Whether there may be another connection. An accept() that finds none costs many times what this does: it makes a
   socket first. */
static bool may_have_more(const struct listener *listener) {
  struct pollfd query = {.fd = listener->pollee.fd, .events = POLLIN};

  return poll(&query, 1, 0) != 0;
}

static enum attempt accept_one(struct listener *listener, struct connection *connection) {
  *connection = (struct connection){0};
  return listener->plain ? accept_by_call(listener, connection) : accept_by_method(listener, connection);
}

/* Whether the descriptor still is that of the socket. Returns -1 with an exception. */
static int is_current(struct listener *listener) {
  PyObject *number = PyObject_CallMethodNoArgs(listener->sock, state_of(listener)->str_fileno);
  long fd;

  if (number == NULL)
    return -1;
  fd = PyLong_AsLong(number);
  Py_DECREF(number);
  return fd == -1 && PyErr_Occurred() ? -1 : fd == listener->pollee.fd;
}

static int on_readable(struct loop *loop, struct pollee *pollee) {
  struct listener *listener = listener_of(pollee);
  int current = is_current(listener);
  struct connection connection;

  if (current < 0)
    return report_attempt(listener, "socket.accept() failed");
  if (!current) /* it was closed, and the number may be another file's */
    pollee_unwatch(loop, pollee);
  for (int left = ACCEPTED_AT_ONCE; left > 0 && pollee->watched; left--) {
    switch (accept_one(listener, &connection)) {
    case ACCEPTED:
      if (begin_connection(listener, &connection) < 0)
        return -1;
      if (!may_have_more(listener))
        return 0;
      break;
    case NOTHING_THERE:
      return 0;
    case NONE_IS_LEFT:
      return wait_for_resources(listener);
    case ATTEMPT_FAILED:
      return report_attempt(listener, "socket.accept() failed");
    }
  }
  return 0;
}

static const struct pollee_kind readable_kind = {.run = on_readable, .place = offsetof(struct listener, pollee)};

PyDoc_STRVAR(start_doc, "start($self, /)\n--\n\nAccept connections from now on.");

static PyObject *start(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct listener *listener = as_listener(self);
  int fd = PyObject_AsFileDescriptor(listener->sock);

  if (fd < 0)
    return NULL;
  Py_CLEAR(listener->retry);
  return pollee_watch(listener->loop, &listener->pollee, fd, POLL_READ) < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(stop_doc, "stop($self, /)\n--\n\nAccept no more connections.");

static PyObject *stop(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct listener *listener = as_listener(self);
  PyObject *retry = listener->retry;
  int failed = 0;

  listener->retry = NULL;
  pollee_unwatch(listener->loop, &listener->pollee);
  if (retry != NULL)
    failed = done(PyObject_CallMethod(retry, "cancel", NULL));
  Py_XDECREF(retry);
  return failed ? NULL : Py_NewRef(Py_None);
}

/* An attribute of the socket that is a small number. Returns -1 with an exception. */
static int number_of(PyObject *sock, const char *name) {
  PyObject *number = PyObject_GetAttrString(sock, name);
  long value = -1;

  if (number == NULL)
    return -1;
  value = PyLong_AsLong(number);
  Py_DECREF(number);
  if ((value < 0 || value > INT_MAX) && !PyErr_Occurred())
    PyErr_Format(PyExc_ValueError, "the socket's %s is %ld", name, value);
  return PyErr_Occurred() ? -1 : (int)value;
}

static PyObject *listener_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
  static const char *const names[] = {"loop", "sock", "protocol_factory", "server", "context", NULL};
  struct core_state *state = PyModule_GetState(PyType_GetModuleByDef(type, &core_module));
  PyObject *loop, *sock, *factory, *server, *context;
  struct listener *listener;

  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!OOO!O!:Listener", (char **)(uintptr_t)names, state->loop_type,
                                   &loop, &sock, &factory, state->server_type, &server, &PyContext_Type, &context) ||
      (listener = (struct listener *)type->tp_alloc(type, 0)) == NULL)
    return NULL;
  listener->loop = (struct loop *)Py_NewRef(loop);
  listener->sock = Py_NewRef(sock);
  listener->factory = Py_NewRef(factory);
  listener->server = Py_NewRef(server);
  listener->context = Py_NewRef(context);
  listener->pollee.kind = &readable_kind;
  if ((listener->family = number_of(sock, "family")) < 0 || (listener->type = number_of(sock, "type")) < 0 ||
      (listener->protocol = number_of(sock, "proto")) < 0) {
    Py_DECREF(listener);
    return NULL;
  }
  listener->plain = (PyObject *)Py_TYPE(sock) == state->python_socket_type && address_is_known(listener->family);
  return (PyObject *)listener;
}

static int listener_traverse(PyObject *self, visitproc visit, void *arg) {
  struct listener *listener = as_listener(self);

  Py_VISIT(Py_TYPE(self));
  Py_VISIT((PyObject *)listener->loop);
  Py_VISIT(listener->sock);
  Py_VISIT(listener->factory);
  Py_VISIT(listener->server);
  Py_VISIT(listener->context);
  Py_VISIT(listener->retry);
  return 0;
}

/* While it is watched or waits for a timer, the loop has it. What it needs to accept stays: a cycle has others that are
   broken. */
static int listener_clear(PyObject *self) {
  Py_CLEAR(as_listener(self)->retry);
  return 0;
}

static void listener_dealloc(PyObject *self) {
  struct listener *listener = as_listener(self);
  PyTypeObject *type = Py_TYPE(self);

  PyObject_GC_UnTrack(self);
  Py_XDECREF((PyObject *)listener->loop);
  Py_XDECREF(listener->sock);
  Py_XDECREF(listener->factory);
  Py_XDECREF(listener->server);
  Py_XDECREF(listener->context);
  Py_XDECREF(listener->retry);
  type->tp_free(self);
  Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"start", start, METH_NOARGS, start_doc},
    {"stop", stop, METH_NOARGS, stop_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)"Listener(loop, sock, protocol_factory, server, context)\n--\n\n"
                        "Accepts the connections to one listening socket of a server."},
    {Py_tp_new, (void *)listener_new},
    {Py_tp_dealloc, (void *)listener_dealloc},
    {Py_tp_traverse, (void *)listener_traverse},
    {Py_tp_clear, (void *)listener_clear},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "refloop._core.Listener",
    .basicsize = sizeof(struct listener),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int listener_type_init(PyObject *module) {
  PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
  int failed = type != NULL ? PyModule_AddType(module, type) : -1;

  Py_XDECREF((PyObject *)type); /* the module has it */
  return failed;
}
