/* Watched descriptors: add_reader() and add_writer(). */

#ifndef REFLOOP_WATCH_H
#define REFLOOP_WATCH_H

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct handle;
struct loop;

/* One watched descriptor; all references are owned. */
struct watched {
  struct handle *reader; /* or NULL */
  struct handle *writer; /* or NULL */
  PyObject *file;        /* the object that stood for the descriptor, NULL if that was a number */
};

/* We do not give the descriptors to libuv, which aborts the process when one was closed behind its
   back, but to an epoll set of our own that libuv watches. All zero, with epoll -1, watches
   nothing. */
struct watch {
  uv_poll_t poll; /* initialised if epoll is open */
  int epoll;
  struct watched *table; /* by descriptor */
  int size;              /* of the table */
  int count;             /* watched descriptors */
  struct epoll_event *events;
  int events_size;
  bool pending; /* libuv found the epoll set readable */
};

/* Queues the handles of the descriptors that the last poll found ready. Returns 0, or -1 with an
 * exception. */
int watch_take_events(struct loop *loop);

/* Stops watching and starts to close the libuv handle. */
void watch_close(struct loop *loop);

/* Closes the epoll set; the libuv handle is closed. */
void watch_closed(struct loop *loop);

/* For the garbage collector. */
int watch_traverse(struct watch *watch, visitproc visit, void *arg);
void watch_clear(struct watch *watch);

#endif
