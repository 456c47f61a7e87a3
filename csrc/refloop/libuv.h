/* libuv's loop within ours: our poll watches its descriptor, and its handles are served while our loop runs. */

#ifndef REFLOOP_LIBUV_H
#define REFLOOP_LIBUV_H

#include <Python.h>

#include <stdint.h>

struct loop;
struct pollee;

/* Initialises it. Returns 0, or -1 with an exception. */
int libuv_open(struct loop *loop);

/* Closes it, once. Warns of handles that are still open, and closes them; waits for requests that are under way. May
   run any code. */
void libuv_close(struct loop *loop);

/* Lets libuv call what is due; its callbacks have the GIL. Returns 0, or -1 with an exception that one of them set.
   The pollee that calls this is of libuv's descriptor; or NULL. */
int libuv_serve(struct loop *loop, struct pollee *pollee);

/* Does what libuv has to do at once: its own timers, closing, what it has to tell the kernel. To be called before each
   poll. Returns 0, or -1 with an exception. */
int libuv_attend(struct loop *loop);

/* What is left of so many nanoseconds, negative for ever, until libuv has something to do. */
int64_t libuv_limit(const struct loop *loop, int64_t timeout);

/* The attribute of the loop by which others get at it. */
extern const char libuv_capsule_doc[];
PyObject *libuv_capsule(PyObject *self, void *closure);

#endif
