/* Scheduling, as other parts of the core use it. */

#ifndef REFLOOP_SCHEDULE_H
#define REFLOOP_SCHEDULE_H

#include <Python.h>

struct handle;
struct loop;

/* call_soon(); the context may be NULL. Returns a new reference, or NULL with an exception. */
struct handle *schedule_soon(struct loop *loop, PyObject *callback, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *context);

#endif
