/* SocketTransport: a stream over a connected TCP or UNIX socket. */

#ifndef REFLOOP_STREAM_H
#define REFLOOP_STREAM_H

#include <Python.h>

struct transport_arguments;

/* A new transport. Returns a new reference, or NULL with an exception: then the socket is still the caller's. */
PyObject *stream_new(const struct transport_arguments *arguments);

/* Makes the type. Returns 0, or -1 with an exception. */
int stream_type_init(PyObject *module);

#endif
