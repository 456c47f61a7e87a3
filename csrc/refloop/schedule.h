/* Scheduling, as other parts of the core use it. */

#ifndef REFLOOP_SCHEDULE_H
#define REFLOOP_SCHEDULE_H

#include <Python.h>

struct loop;

/* call_soon(); the context may be NULL. Returns 0, or -1 with an exception. */
int schedule_soon(struct loop *loop, PyObject *callback, PyObject *const *args, Py_ssize_t nargs, PyObject *context);

#endif
