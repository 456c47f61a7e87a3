/* Sleeping and waking up: the one place where the loop gives up the GIL and waits for events. */

#ifndef REFLOOP_WAKEUP_H
#define REFLOOP_WAKEUP_H

#include <Python.h>

#include <stdbool.h>

#include "callee.h"

struct loop;

struct wakeup {
  struct pollee signals; /* of the pipe below */
  struct pollee uv;      /* of libuv's descriptor */
  int own;               /* how many descriptors of the loop's own are watched */
  bool asleep;           /* the GIL is, or is about to be, given up for the poll */
  bool woken;            /* the poll was already woken during this sleep */
  bool catch_signals;    /* the loop runs in the thread in which Python handles signals */
  int signal_pipe[2];    /* where Python's signal handler writes the signals' numbers while the loop runs; -1 */
  int programs_fd;       /* where it wrote them before, -1 for nowhere; valid while catch_signals */
  unsigned unpolled;     /* iterations since the GIL was last given up */
};

/* Initialises; the loop's poll and libuv's loop are. Returns 0, or -1 with an exception. */
int wakeup_init(struct loop *loop);

/* To be called when a run begins. Returns 0, or -1 with an exception. */
int wakeup_begin(struct loop *loop);

/* To be called when a run ends, if wakeup_begin() was. Leaves an exception that is set alone. */
void wakeup_end(struct loop *loop);

/* Closes descriptors; the poll is closed. */
void wakeup_close(struct loop *loop);

/* Wakes the loop up if it sleeps. Any thread, with the GIL. */
void wakeup_send(struct loop *loop);

/* Queues the callees of the descriptors that are ready; waits for some, or for the first timer, unless the loop has
   something to do at once. Returns 0, or -1 with an exception, which may come from a handler of a signal. */
int wakeup_poll(struct loop *loop);

#endif
