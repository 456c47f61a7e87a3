/* What the loop calls: handles of Python and pollees of C. */

#include "callee.h"

#include <errno.h>

#include "debug.h"
#include "handle.h"
#include "loop.h"

int pollee_watch(struct loop *loop, struct pollee *pollee, int fd, enum poll_direction direction) {
  void *displaced[2];
  int failed;

  if (pollee->watched)
    return 0;
  if (loop_check_open(loop) < 0)
    return -1;
  failed = poll_add(&loop->poll, fd, direction, callee_of_pollee(pollee), displaced);
  if (failed) {
    PyErr_SetFromErrno(PyExc_OSError);
  } else {
    Py_XINCREF(pollee_owner(pollee));
    pollee->fd = fd;
    pollee->direction = (uint8_t)direction;
    pollee->watched = true;
    pollee->ready = false;
  }
  /* all is in order: what follows may run any code */
  callee_displaced(displaced[POLL_READ]);
  callee_displaced(displaced[POLL_WRITE]);
  return failed;
}

void pollee_unwatch(struct loop *loop, struct pollee *pollee) {
  if (!pollee->watched)
    return;
  (void)poll_remove(&loop->poll, pollee->fd, pollee->direction, callee_of_pollee(pollee));
  callee_displaced(callee_of_pollee(pollee));
}

void pollee_leave(struct loop *loop, struct pollee *pollee) {
  if (pollee->watched && poll_leave(&loop->poll, pollee->fd, callee_of_pollee(pollee)))
    callee_displaced(callee_of_pollee(pollee));
}

/* Calls a pollee that only queues. */
static int run_at_once(struct loop *loop, struct pollee *pollee) {
  PyObject *owner = Py_NewRef(pollee_owner(pollee));
  int failed = pollee->kind->run(loop, pollee);

  Py_DECREF(owner);
  return failed;
}

int callee_queue(struct loop *loop, void *callee) {
  struct pollee *pollee = callee_pollee(callee);

  if (pollee == NULL && ((struct handle *)callee)->cancelled)
    return 0;
  if (pollee != NULL && pollee->kind->at_once)
    return run_at_once(loop, pollee);
  if (pollee != NULL) {
    pollee->ready = true;
    if (pollee->queued)
      return 0;
  }
  if (ready_push(&loop->ready, callee) < 0) {
    PyErr_NoMemory();
    return -1;
  }
  if (pollee != NULL)
    pollee->queued = true;
  Py_XINCREF(callee_object(callee));
  return 0;
}

int callee_run(struct loop *loop, void *callee) {
  struct pollee *pollee = callee_pollee(callee);
  PyObject *object = callee_object(callee);
  int failed = 0;

  if (pollee != NULL) {
    pollee->queued = false;
    if (pollee->ready) {
      pollee->ready = false;
      failed = loop->debug ? debug_run_pollee(loop, pollee) : pollee->kind->run(loop, pollee);
    }
  } else {
    failed = loop->debug ? debug_run(loop, callee) : handle_run(callee);
    handle_unhide(callee);
  }
  Py_XDECREF(object);
  return failed;
}

int callee_traverse(void *callee, visitproc visit, void *arg) {
  if (callee_pollee(callee) == NULL)
    return handle_traverse_owned(callee, visit, arg);
  Py_VISIT(callee_object(callee));
  return 0;
}

void callee_drop(void *callee) {
  struct pollee *pollee = callee_pollee(callee);

  if (pollee != NULL)
    pollee->queued = false;
  else
    handle_unhide(callee);
  Py_XDECREF(callee_object(callee));
}

void callee_unwatched(void *callee) {
  struct pollee *pollee = callee_pollee(callee);

  if (callee == NULL)
    return;
  if (pollee != NULL)
    pollee->watched = pollee->ready = false;
  Py_XDECREF(callee_object(callee));
}

void callee_displaced(void *callee) {
  if (callee != NULL && callee_pollee(callee) == NULL)
    handle_cancel(callee);
  callee_unwatched(callee);
}
