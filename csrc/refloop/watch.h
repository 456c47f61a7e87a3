/* Watched descriptors: add_reader(), add_writer(), and whether a descriptor may be watched. */

#ifndef REFLOOP_WATCH_H
#define REFLOOP_WATCH_H

#include <Python.h>

struct loop;

/* Raises RuntimeError and returns -1 if a transport has the descriptor, which the object stands for, for itself. */
int watch_check_unclaimed(struct loop *loop, int fd, PyObject *object);

#endif
