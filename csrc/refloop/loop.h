/* The loop object: its state, and what the files of the loop offer each other. */

#ifndef REFLOOP_LOOP_H
#define REFLOOP_LOOP_H

#include <Python.h>

#include <stdbool.h>
#include <uv.h>

#include "handle.h"
#include "poll.h"
#include "reading.h"
#include "ready.h"
#include "state.h"
#include "timers.h"
#include "wakeup.h"

struct loop {
  PyObject_HEAD PyObject *module;
  struct core_state *state; /* of the module */

  uv_loop_t uv;  /* served by libuv.c */
  bool uv_open;  /* uv is initialised */
  bool closed;   /* close() was called */
  bool stopping; /* stop() was called */
  bool debug;
  bool own_clock; /* time() is not overridden */

  unsigned long thread; /* the thread that runs the loop, 0 if none does */

  struct ready_ring ready;  /* callees, each a reference */
  struct timer_heap timers; /* struct timer_handle, each a reference */
  struct poll poll;         /* of callees, each a reference */
  struct wakeup wakeup;
  PyObject
      *watched_files; /* a dictionary or NULL: what stood for a descriptor in add_reader(), if that was no number */

  /* What reading.c has for all transports; the bytes objects are nobody else's, and NULL if there is none. */
  char *read_buffer;                        /* of READING_SIZE bytes */
  struct reading_room rooms[READING_ROOMS]; /* used instead of it */
  PyObject *spare;                          /* for the next data that is neither small nor large */
  size_t spare_room;                        /* of that object, or of the one that was made of it or instead of it */

  PyObject *itself;       /* while it runs {"loop": itself}, the keywords of futures and tasks; else NULL */
  PyObject *task_factory; /* or NULL */
  struct handle *current; /* the handle that runs (debug mode), borrowed; or NULL */
  double slow_callback_duration;
};

/* Raises RuntimeError and returns -1 if the loop is closed. */
int loop_check_open(struct loop *loop);

/* The time now, on the scale of time(). Returns 0, or -1 with an exception. */
int loop_now(struct loop *loop, double *now);

/* Queues a handle: takes a new reference to it. Returns 0, or -1 with an exception. */
int loop_queue(struct loop *loop, struct handle *handle);

/* A new asyncio.Future of the loop. Returns a new reference, or NULL with an exception. */
PyObject *loop_new_future(struct loop *loop);

/* Takes a timer out of the heap, if it is there, and releases the heap's reference. */
void loop_drop_timer(struct loop *loop, struct timer_handle *handle);

/* The methods of the loop, one table a file; each ends with an empty entry. */
extern PyMethodDef loop_run_methods[];
extern PyMethodDef loop_schedule_methods[];
extern PyMethodDef loop_sock_methods[];
extern PyMethodDef loop_task_methods[];
extern PyMethodDef loop_watch_methods[];

/* Makes the type. Returns 0, or -1 with an exception. */
int loop_type_init(PyObject *module);

#endif
