/* What a transport over a socket tells of it: its object and the names of both ends. */

#include <string.h>

#include "address.h"
#include "loop.h"
#include "stream.h"

typedef int (*namer)(int fd, struct sockaddr *address, socklen_t *length);

/* What takes down one of the two names. */
struct end {
  struct stream_name *name;
  PyObject *key;    /* of the extra information */
  PyObject *method; /* of a socket object */
};

static struct core_state *state_of(struct stream *stream) { return stream->base.loop->state; }

/* Keeps an address of a known family. */
static int keep(struct stream *stream, struct end *end, const struct sockaddr_storage *address, socklen_t length) {
  if (length > sizeof(end->name->address))
    return transport_set_extra(&stream->base, end->key, address_object(address, length));
  memcpy(end->name->address, address, length);
  end->name->length = (unsigned char)length;
  return 0;
}

/* Asks the kernel, or the object of a socket whose addresses are unknown here. */
static int ask(struct stream *stream, struct end *end, namer call, PyObject *file) {
  struct sockaddr_storage address;
  socklen_t length = sizeof(address);
  PyObject *name;

  if (call(stream->base.fd, (struct sockaddr *)&address, &length) == 0 && address_is_known(address.ss_family))
    return keep(stream, end, &address, length);
  if (file == NULL)
    return 0;
  name = PyObject_CallMethodNoArgs(file, end->method);
  if (name == NULL && PyErr_ExceptionMatches(PyExc_OSError)) { /* it has none */
    PyErr_Clear();
    return 0;
  }
  return transport_set_extra(&stream->base, end->key, name);
}

int stream_note_names(struct stream *stream, PyObject *file, const struct stream_socket *socket) {
  struct core_state *state = state_of(stream);
  struct end here = {&stream->here, state->str_sockname, state->str_getsockname};
  struct end there = {&stream->there, state->str_peername, state->str_getpeername};

  if (ask(stream, &here, getsockname, file) < 0)
    return -1;
  if (socket != NULL && socket->peer != NULL)
    return keep(stream, &there, socket->peer, socket->peer_length);
  return ask(stream, &there, getpeername, file);
}

static PyObject *name_object(const struct stream_name *name) {
  struct sockaddr_storage address;

  memcpy(&address, name->address, name->length);
  return address_object(&address, name->length);
}

/* A closed socket object. Returns a new reference, or NULL with an exception. */
static PyObject *closed_socket(struct stream *stream) {
  PyObject *socket = PyObject_CallFunction(state_of(stream)->python_socket_type, "iii", (int)stream->family,
                                           SOCK_STREAM, stream->protocol);
  PyObject *closed = socket != NULL ? PyObject_CallMethodNoArgs(socket, state_of(stream)->str_close) : NULL;

  if (closed == NULL)
    Py_CLEAR(socket);
  Py_XDECREF(closed);
  return socket;
}

/* The object of the open socket, which takes over the descriptor; the same. */
static PyObject *open_socket(struct stream *stream) {
  struct transport *transport = &stream->base;
  PyObject *socket;

  if (transport->file != NULL) /* there was no memory for its wrapper */
    return Py_NewRef(transport->file);
  socket = PyObject_CallFunction(state_of(stream)->python_socket_type, "iiii", (int)stream->family,
                                 SOCK_STREAM | SOCK_NONBLOCK, stream->protocol, transport->fd);

  if (socket == NULL)
    return NULL;
  if (transport->open && transport->file == NULL) {
    transport_set_file(transport, Py_NewRef(socket));
  } else { /* code that ran meanwhile has closed it, or made another one: the descriptor is not this one's */
    PyObject *number = PyObject_CallMethodNoArgs(socket, state_of(stream)->str_detach);

    if (number == NULL)
      Py_CLEAR(socket);
    Py_XDECREF(number);
  }
  return socket;
}

/* The wrapper of the socket object that is made by this. */
static PyObject *wrapped_socket(struct stream *stream) {
  PyObject *socket = stream->base.open ? open_socket(stream) : closed_socket(stream), *wrapper = NULL;

  if (socket == NULL)
    return NULL;
  if (stream->base.extra != NULL) /* code that ran meanwhile may have asked, too */
    wrapper = Py_XNewRef(PyDict_GetItemWithError(stream->base.extra, state_of(stream)->str_socket));
  if (wrapper != NULL || PyErr_Occurred()) {
    Py_DECREF(socket);
    return wrapper;
  }
  wrapper = PyObject_CallOneArg(state_of(stream)->transport_socket_type, socket);
  Py_DECREF(socket);
  if (wrapper != NULL && transport_set_extra(&stream->base, state_of(stream)->str_socket, Py_NewRef(wrapper)) < 0)
    Py_CLEAR(wrapper);
  return wrapper;
}

PyObject *stream_describe(struct transport *transport, PyObject *name) {
  struct stream *stream = (struct stream *)transport;
  struct core_state *state = transport->loop->state;

  if (!PyUnicode_Check(name))
    return NULL;
  if (PyUnicode_Compare(name, state->str_sockname) == 0)
    return name_object(&stream->here);
  if (PyUnicode_Compare(name, state->str_peername) == 0)
    return name_object(&stream->there);
  return PyUnicode_Compare(name, state->str_socket) == 0 ? wrapped_socket(stream) : NULL;
}
