/* Errors: of libuv as exceptions of Python, and of callbacks as reports to the loop. */

#ifndef REFLOOP_ERRORS_H
#define REFLOOP_ERRORS_H

#include <Python.h>

#include <stdbool.h>

struct handle;
struct loop;

/* Raises the OSError that an error code of libuv stands for. Returns NULL. */
PyObject *errors_raise_uv(int code);

/* Whether the exception that is set is one that ends a run, not to be reported: KeyboardInterrupt or SystemExit. */
bool errors_leave_run(void);

/* Reports the exception that is set, which the callback of the handle raised, and clears it.
   Returns 0, or -1 with an exception that is to leave the run: KeyboardInterrupt or SystemExit, of
   the callback or of the handler of exceptions. */
int errors_report_callback(struct loop *loop, struct handle *handle);

#endif
