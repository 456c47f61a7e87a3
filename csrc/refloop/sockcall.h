/* A call on a socket as a coroutine: it is made at once, and if it would block, again when the socket is ready. */

#ifndef REFLOOP_SOCKCALL_H
#define REFLOOP_SOCKCALL_H

#include <Python.h>

#include "callee.h"

struct socket_call;

enum outcome { CALL_DONE, CALL_BLOCKED, CALL_FAILED };

/* What is the same for all calls of one kind. */
struct socket_operation {
  const char *name; /* of the method of the loop */
  enum poll_direction direction;
  /* Makes the call without waiting. CALL_DONE: *result is a new reference. CALL_FAILED: with an exception. */
  enum outcome (*attempt)(struct socket_call *call, PyObject **result);
};

#define SOCKET_CALL_ARGS 2

enum socket_call_phase { CALL_NEW, CALL_RUNNING, CALL_WAITING, CALL_OVER };

/* All references are owned. While it waits, the loop's table of descriptors owns a reference to it. */
struct socket_call {
  PyObject_HEAD const struct socket_operation *operation;
  struct loop *loop;
  PyObject *sock;                   /* NULL when it is over, as all of the following */
  PyObject *args[SOCKET_CALL_ARGS]; /* the others of the method; NULL for those that it has not */
  PyObject *future;                 /* what the task waits for; NULL while it does not wait */
  Py_buffer data;                   /* what is to be sent, all of it; obj is NULL if nothing is */
  Py_ssize_t sent;                  /* bytes of that */
  int fd;                           /* the socket's, -1 if it is closed or was not asked for it in this attempt */
  struct pollee pollee;
  enum socket_call_phase phase;
  bool woken; /* the socket was ready, at least once */
};

/* Makes the coroutine; the arguments are borrowed. Returns a new reference, or NULL with an exception. */
PyObject *socket_call_new(struct loop *loop, const struct socket_operation *operation, PyObject *sock,
                          PyObject *const args[SOCKET_CALL_ARGS]);

/* Asks the socket for its descriptor. Returns 0, or -1 with an exception. */
int socket_call_descriptor(struct socket_call *call);

/* Makes the type. Returns 0, or -1 with an exception. */
int socket_call_type_init(PyObject *module);

#endif
