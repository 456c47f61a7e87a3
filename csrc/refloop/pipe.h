/* ReadPipeTransport and WritePipeTransport: one end of a pipe, or of what works like one. */

#ifndef REFLOOP_PIPE_H
#define REFLOOP_PIPE_H

#include <Python.h>

/* Makes the types. Returns 0, or -1 with an exception. */
int pipe_types_init(PyObject *module);

#endif
