/* What a peer starts with: the endpoints that the arguments of Peer() ask for, and their addresses. */
#include "peer_type.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>
#include <unistd.h>

struct choice {
  const char *name;
  int value;
};

static const struct choice listening[] = {{"tcp", AF_INET}, {"tcp6", AF_INET6}, {"unix", AF_UNIX}, {NULL, 0}};
static const struct choice bound[] = {{"udp", AF_INET}, {"udp6", AF_INET6}, {"unix", AF_UNIX}, {NULL, 0}};
static const struct choice pairs[] = {
    {"tcp", FK_PAIR_TCP},
    {"unix", FK_PAIR_UNIX},
    {"datagram", FK_PAIR_DATAGRAM},
    {"pipe_source", FK_PAIR_PIPE_SOURCE},
    {"pipe_sink", FK_PAIR_PIPE_SINK},
    {"pty_master", FK_PAIR_PTY_MASTER},
    {"pty_terminal", FK_PAIR_PTY_TERMINAL},
    {NULL, 0},
};

/* The value of a choice that an argument names. Returns -1 with an exception set if there is none. */
static int choose(const char *argument, const struct choice *choices, const char *name) {
  PyObject *names = PyList_New(0);
  for (; names != NULL && choices->name != NULL; choices++) {
    PyObject *text = PyUnicode_FromString(choices->name);
    if (strcmp(choices->name, name) == 0 || text == NULL || PyList_Append(names, text) < 0) {
      Py_XDECREF(text);
      Py_DECREF(names);
      return text == NULL || PyErr_Occurred() != NULL ? -1 : choices->value;
    }
    Py_DECREF(text);
  }
  if (names != NULL) {
    PyErr_Format(PyExc_ValueError, "%s must be one of %R, not '%.100s'", argument, names, name);
    Py_DECREF(names);
  }
  return -1;
}

/* Duplicate the socket or descriptor that was given. Returns 0, or -1 with an exception set. */
static int adopt(PyObject *given, struct fk_endpoint *listener, struct fk_endpoint *connection) {
  struct fk_endpoint endpoint;
  int descriptor = PyObject_AsFileDescriptor(given);
  if (descriptor < 0) {
    return -1;
  }
  if (fk_endpoint_adopt(&endpoint, descriptor) < 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  *(endpoint.kind == FK_LISTENER ? listener : connection) = endpoint;
  return 0;
}

static int check_options(const struct fk_options *options) {
  bool has_buffers = options->buffers.receive > 0 || options->buffers.send > 0;
  int origins =
      (options->connection != Py_None) + (options->listen != NULL) + (options->bind != NULL) + (options->pair != NULL);
  const char *problem = NULL;
  if (origins > 1) {
    problem = "a peer has only one of connection, listen, bind and pair";
  } else if (has_buffers && options->listen == NULL && options->bind == NULL && options->pair == NULL) {
    problem = "receive_buffer and send_buffer are for sockets that the peer makes";
  } else if (options->pair != NULL && has_buffers && strncmp(options->pair, "p", 1) == 0) {
    problem = "a pipe or terminal has no receive_buffer or send_buffer";
  }
  if (problem != NULL) {
    PyErr_SetString(PyExc_ValueError, problem);
  }
  return problem == NULL ? 0 : -1;
}

int fk_open_endpoints(const struct fk_options *options, struct fk_endpoint *listener, struct fk_endpoint *connection,
                      int *other) {
  int choice = 0;
  int outcome = 0;
  if (check_options(options) < 0) {
    return -1;
  }
  if (options->connection != Py_None) {
    return adopt(options->connection, listener, connection);
  }
  if (options->listen != NULL) {
    choice = choose("listen", listening, options->listen);
    outcome = choice < 0 ? -1 : fk_endpoint_listen(listener, choice, options->backlog, &options->buffers);
  } else if (options->bind != NULL) {
    choice = choose("bind", bound, options->bind);
    outcome = choice < 0 ? -1 : fk_endpoint_bind(connection, choice, &options->buffers);
  } else if (options->pair != NULL) {
    choice = choose("pair", pairs, options->pair);
    outcome = choice < 0 ? -1 : fk_endpoint_pair(connection, (enum fk_pair)choice, other, &options->buffers);
  }
  if (outcome < 0 && PyErr_Occurred() == NULL) {
    PyErr_SetFromErrno(PyExc_OSError);
  }
  return outcome;
}

PyObject *fk_address_of(const struct fk_endpoint *endpoint) {
  struct sockaddr_storage own;
  socklen_t size = sizeof own;
  char text[INET6_ADDRSTRLEN];
  if (getsockname(endpoint->descriptor, (struct sockaddr *)&own, &size) < 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  if (own.ss_family == AF_UNIX) {
    const struct sockaddr_un *name = (const struct sockaddr_un *)&own;
    size_t length = size - offsetof(struct sockaddr_un, sun_path);
    bool is_abstract = length > 0 && name->sun_path[0] == '\0';
    return PyUnicode_DecodeFSDefaultAndSize(name->sun_path,
                                            (Py_ssize_t)(is_abstract ? length : strnlen(name->sun_path, length)));
  }
  if (own.ss_family == AF_INET) {
    const struct sockaddr_in *name = (const struct sockaddr_in *)&own;
    if (inet_ntop(AF_INET, &name->sin_addr, text, sizeof text) == NULL) {
      return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("(si)", text, (int)ntohs(name->sin_port));
  }
  const struct sockaddr_in6 *name = (const struct sockaddr_in6 *)&own;
  if (inet_ntop(AF_INET6, &name->sin6_addr, text, sizeof text) == NULL) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  return Py_BuildValue("(siII)", text, (int)ntohs(name->sin6_port), (unsigned)ntohl(name->sin6_flowinfo),
                       (unsigned)name->sin6_scope_id);
}
