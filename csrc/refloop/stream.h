/* SocketTransport: a stream over a connected TCP or UNIX socket. */

#ifndef REFLOOP_STREAM_H
#define REFLOOP_STREAM_H

#include <Python.h>

/* Makes the type. Returns 0, or -1 with an exception. */
int stream_type_init(PyObject *module);

#endif
