/* Operations on sockets: sock_recv() and its like. */

#ifndef REFLOOP_SOCKOPS_H
#define REFLOOP_SOCKOPS_H

#include <Python.h>

/* Makes what the operations use. Returns 0, or -1 with an exception. */
int sockops_init(PyObject *module);

#endif
