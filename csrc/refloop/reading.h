/* The path of reading, which all transports share. */

#ifndef REFLOOP_READING_H
#define REFLOOP_READING_H

#include <Python.h>

#include <stdbool.h>

#include "callee.h"

struct loop;
struct transport;

#define READING_SIZE ((size_t)256 * 1024) /* bytes that are read at once, as by asyncio */
#define READING_ROOMS 3u                  /* the last one has this size, each other a quarter of the next one's */

/* A bytes object that is read into, and is the data then. */
struct reading_room {
  PyObject *bytes; /* NULL if there is none */
  bool kept;       /* the protocol has kept the latest one */
};

/* Makes the buffer of the loop, if it is not there. Returns 0, or -1 with an exception. */
int reading_reserve(struct loop *loop);

/* Watches the descriptor, unless the transport is paused or closing. Returns 0, or -1 with an exception. */
int reading_start(struct transport *transport);

/* For the pollee of a transport: lets its kind read. */
int reading_on_readable(struct loop *loop, struct pollee *pollee);

/* For struct transport_kind: gives what is there to the protocol. */
int reading_read(struct transport *transport);

/* The methods of types that read. */
#define READING_METHODS                                                                                                \
  {"pause_reading", reading_pause, METH_NOARGS, reading_pause_doc},                                                    \
      {"resume_reading", reading_resume, METH_NOARGS, reading_resume_doc}, {                                           \
    "is_reading", reading_is_on, METH_NOARGS, reading_is_on_doc                                                        \
  }

extern const char reading_pause_doc[], reading_resume_doc[], reading_is_on_doc[];
PyObject *reading_pause(PyObject *self, PyObject *ignored);
PyObject *reading_resume(PyObject *self, PyObject *ignored);
PyObject *reading_is_on(PyObject *self, PyObject *ignored);

#endif
