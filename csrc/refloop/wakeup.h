/* Sleeping and waking up: the one place where the loop gives up the GIL and waits for events. */

#ifndef REFLOOP_WAKEUP_H
#define REFLOOP_WAKEUP_H

#include <Python.h>

#include <stdbool.h>
#include <uv.h>

struct loop;

struct wakeup {
  uv_async_t async;  /* wakes the loop from other threads */
  uv_timer_t alarm;  /* wakes it when the first timer is due */
  uv_poll_t signals; /* readable when a signal came; initialised if signal_pipe is open */
  double alarm_when; /* the deadline that the alarm is set for, if it is */
  bool alarm_set;
  bool asleep;        /* the GIL is, or is about to be, given up for the poll */
  bool woken;         /* async was already sent during this sleep */
  bool catch_signals; /* the loop runs in the thread in which Python handles signals */
  int signal_pipe[2]; /* where Python's signal handler writes the signals' numbers while we sleep;
                         -1 */
  int signal_count;   /* numbers read from it during this sleep */
  unsigned char signal_numbers[64];
  unsigned unpolled;       /* iterations since the GIL was last given up */
  PyThreadState *released; /* the thread state while the GIL is given up, else NULL */
};

/* Initialises; libuv's loop is. Returns 0, or an error code of libuv. */
int wakeup_init(struct loop *loop);

/* To be called when a run begins. Returns 0, or -1 with an exception. */
int wakeup_begin(struct loop *loop);

/* Starts to close the libuv handles. */
void wakeup_close(struct loop *loop);

/* Closes descriptors; the libuv handles are closed. */
void wakeup_closed(struct loop *loop);

/* Wakes the loop up if it sleeps. Any thread, with the GIL. */
void wakeup_send(struct loop *loop);

/* Takes events from libuv; waits for some, or for the first timer, unless the loop has something to
   do at once. Returns 0, or -1 with an exception, which may come from a handler of a signal. */
int wakeup_poll(struct loop *loop);

/* Takes the GIL back, if it is given up: to be called by callbacks of libuv before they use Python. */
void wakeup_need_gil(struct loop *loop);

#endif
