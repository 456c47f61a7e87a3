/* Handle and TimerHandle: a callback that waits for its turn. */

#ifndef REFLOOP_HANDLE_H
#define REFLOOP_HANDLE_H

#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timers.h"

#define HANDLE_INLINE_ARGS 3
#define HANDLE_BURST 1024u /* so many handles that wait, and more, are a burden to the garbage collector */

struct loop;

/* Our types derive from asyncio.Handle and asyncio.TimerHandle, whose memory of __slots__ lies
   between the object's head and `nargs`. We use it for references of our own, each owned or NULL:
   what ever reaches it by a descriptor of the base class finds an object or nothing.
   handle_types_init() checks that the base classes still fit. */
struct handle {
  PyObject_HEAD PyObject *callback; /* NULL once cancelled; the chain in the list of freed handles */
  PyObject *context;                /* NULL for an empty one that is still to be made */
  struct loop *loop;
  PyObject *args[HANDLE_INLINE_ARGS]; /* as many as nargs, if they fit; else the first is a tuple of
                                         all */
  PyObject *source_traceback;         /* the stack of its creation (debug mode), or NULL */
#if PY_VERSION_HEX < 0x030C0000
  PyObject *weakrefs; /* the interpreter's, at the place that asyncio.Handle has for it */
#endif
  PyObject *text;   /* repr() as it was when cancelled in debug mode, or NULL */
  PyObject *unused; /* keeps the second slot of asyncio.TimerHandle; always NULL */
  Py_ssize_t nargs;
  bool cancelled;
  bool running;  /* its callback is being called with the arguments here */
  bool is_timer; /* the object is a struct timer_handle */
  bool hidden;   /* see handle_hide() */
};

struct timer_handle {
  struct handle base;
  struct timer timer; /* in the loop's heap, which then owns a reference to this handle, or idle */
};

/* Makes a handle of a callback with its arguments; all are borrowed. The context may be NULL or
   None: then the current one is copied. Returns a new reference, or NULL with an exception. */
struct handle *handle_new(struct loop *loop, PyObject *callback, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *context);

/* The same with a deadline; the timer is still idle. */
struct timer_handle *timer_handle_new(struct loop *loop, double when, PyObject *callback, PyObject *const *args,
                                      Py_ssize_t nargs, PyObject *context);

/* Calls the callback in its context; an exception is reported to the loop, except KeyboardInterrupt
   and SystemExit. The caller owns a reference to the handle. Returns 0, or -1 with an exception
   that is to leave the run. */
int handle_run(struct handle *handle);

/* The context that the callback runs in; borrowed. NULL with an exception. */
PyObject *handle_context(struct handle *handle);

/* The garbage collector would go through the handles of a burst over and over. So the loop hides those that it alone
   has from the collector, and shows what they refer to as its own. Nothing if somebody else has the handle, too. */
void handle_hide(struct handle *handle);

/* To be called when the loop no longer has the handle, but for the caller's reference. */
void handle_unhide(struct handle *handle);

/* Marks the handle as cancelled and releases what it would have called. An exception that is set
 * stays. */
void handle_cancel(struct handle *handle);

/* What the garbage collector has to go through on behalf of the loop that has the handle. A hidden one may have been
   found by a weak reference: then it is nobody's. */
int handle_traverse_owned(struct handle *handle, visitproc visit, void *arg);

/* The handle that a timer belongs to. */
static inline struct timer_handle *handle_of_timer(struct timer *timer) {
  return (struct timer_handle *)((char *)timer - offsetof(struct timer_handle, timer));
}

/* Makes the types. Returns 0, or -1 with an exception. */
int handle_types_init(PyObject *module);

struct core_state;

/* Sets handles aside for when there is no memory. Returns 0, or -1 with an exception. */
int handle_reserve(struct core_state *state);

/* Frees the freed handles that are kept for reuse. */
void handle_free_lists_clear(struct core_state *state);

#endif
