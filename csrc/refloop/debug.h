/* Debug mode: where handles were made, what may be called, from which thread, and how long it took. */

#ifndef REFLOOP_DEBUG_H
#define REFLOOP_DEBUG_H

#include <Python.h>

struct handle;
struct loop;
struct pollee;

/* The stack of the caller in Python, as asyncio notes it. Returns a new reference, or NULL with an
 * exception. */
PyObject *debug_stack(struct loop *loop);

/* Raises RuntimeError and returns -1 if the loop runs in another thread. */
int debug_check_thread(struct loop *loop);

/* Raises TypeError and returns -1 if this is no callback but a coroutine, or cannot be called. */
int debug_check_callback(struct loop *loop, PyObject *callback, const char *method);

/* handle_run() that notes the handle as the current one and reports a callback that was slow. */
int debug_run(struct loop *loop, struct handle *handle);

/* The same of a pollee. */
int debug_run_pollee(struct loop *loop, struct pollee *pollee);

#endif
