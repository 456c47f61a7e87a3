/* SocketTransport: a stream over a connected TCP or UNIX socket. */

#ifndef REFLOOP_STREAM_H
#define REFLOOP_STREAM_H

#include <Python.h>

#include <sys/socket.h>

#include "transport.h"

/* The address of an end as the kernel gives it, if there is room for it here: for those of IP, and short ones of UNIX
   sockets, there is. */
struct stream_name {
  unsigned char length; /* 0 for none */
  char address[28];
};

/* Most connections are over before anybody asks for their socket, so it gets an object only then. */
struct stream {
  struct transport base;
  int protocol; /* of the socket, if it has no object; as its family */
  sa_family_t family;
  struct stream_name here, there;
};

/* What is known of a socket that has no object. */
struct stream_socket {
  sa_family_t family;
  int protocol;
  const struct sockaddr_storage *peer; /* the address of the other end */
  socklen_t peer_length;
};

/* A new transport; of arguments->fd, which does not block, if a socket is given. Returns a new reference, or NULL with
   an exception: then the socket is still the caller's. */
PyObject *stream_new(const struct transport_arguments *arguments, const struct stream_socket *socket);

/* Takes down the names of both ends, with the object of the socket or what is known of one that has none. Returns 0, or
   -1 with an exception. */
int stream_note_names(struct stream *stream, PyObject *file, const struct stream_socket *socket);

/* For struct transport_kind: "socket", "sockname" and "peername". */
PyObject *stream_describe(struct transport *transport, PyObject *name);

/* Makes the type. Returns 0, or -1 with an exception. */
int stream_type_init(PyObject *module);

#endif
