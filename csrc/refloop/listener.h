/* Listener: accepts the connections to one listening socket of a server. */

#ifndef REFLOOP_LISTENER_H
#define REFLOOP_LISTENER_H

#include <Python.h>

/* Makes the type. Returns 0, or -1 with an exception. */
int listener_type_init(PyObject *module);

#endif
