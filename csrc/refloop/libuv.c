/* libuv's loop within ours: our poll watches its descriptor, and its handles are served while our loop runs. */

#include "libuv.h"

#include <poll.h>
#include <unistd.h>
#include <uv.h>

#include "compat.h"
#include "errors.h"
#include "loop.h"

#define CAPSULE "uv_loop_t"
#define NANOSECONDS_PER_MS 1000000

int libuv_open(struct loop *loop) {
  int error = uv_loop_init(&loop->uv);

  if (error != 0) {
    if (uv_backend_fd(&loop->uv) > 0) /* some versions leave it open when they run out of descriptors */
      close(uv_backend_fd(&loop->uv));
    errors_raise_uv(error);
    return -1;
  }
  loop->uv_open = true;
  return 0;
}

int libuv_serve(struct loop *loop, struct pollee *pollee) {
  (void)pollee;
  uv_run(&loop->uv, UV_RUN_NOWAIT);
  return PyErr_Occurred() ? -1 : 0;
}

int libuv_attend(struct loop *loop) {
  if (!uv_loop_alive(&loop->uv))
    return 0;
  uv_update_time(&loop->uv);
  return uv_backend_timeout(&loop->uv) == 0 ? libuv_serve(loop, NULL) : 0; /* 0: there is something */
}

int64_t libuv_limit(const struct loop *loop, int64_t timeout) {
  int64_t limit;

  if (!uv_loop_alive(&loop->uv))
    return timeout;
  limit = uv_backend_timeout(&loop->uv);
  return limit >= 0 && (timeout < 0 || timeout / NANOSECONDS_PER_MS >= limit) ? limit * NANOSECONDS_PER_MS : timeout;
}

/* Closes a handle that its owner has not closed, and counts it by its type. The owner's memory is left alone. */
static void close_left(uv_handle_t *handle, void *counts) {
  if (uv_is_closing(handle))
    return;
  ((unsigned *)counts)[uv_handle_get_type(handle)]++;
  uv_close(handle, NULL);
}

static void warn_of_left(const unsigned *counts) {
  for (int type = 0; type < UV_HANDLE_TYPE_MAX; type++) {
    if (counts[type] > 0 && PyErr_WarnFormat(PyExc_ResourceWarning, 1, "unclosed libuv handles: %u of type %s",
                                             counts[type], uv_handle_type_name(type)) < 0)
      PyErr_WriteUnraisable(NULL); /* not of the loop, which may be on its way out */
  }
}

/* Serves libuv until nothing is under way there. Others may need the GIL for what it waits for. */
static void finish(struct loop *loop) {
  struct pollfd ready = {.fd = uv_backend_fd(&loop->uv), .events = POLLIN};

  while (uv_run(&loop->uv, UV_RUN_NOWAIT) != 0) {
    Py_BEGIN_ALLOW_THREADS;
    (void)poll(&ready, 1, uv_backend_timeout(&loop->uv));
    Py_END_ALLOW_THREADS;
  }
}

void libuv_close(struct loop *loop) {
  unsigned counts[UV_HANDLE_TYPE_MAX] = {0};
  PyObject *exception;

  if (!loop->uv_open)
    return;
  loop->uv_open = false;
  exception = take_exception();
  uv_walk(&loop->uv, close_left, counts);
  finish(loop);
  if (PyErr_Occurred()) /* set by a callback */
    PyErr_WriteUnraisable(NULL);
  (void)uv_loop_close(&loop->uv); /* refuses only when a handle is open: there is none */
  warn_of_left(counts);
  give_exception(exception);
}

const char libuv_capsule_doc[] =
    "A capsule named \"" CAPSULE "\" with libuv's loop, for handles of other extension modules: they are made in the\n"
    "thread that runs this loop, are served while it runs unless they are uv_unref()ed, and have to be closed before\n"
    "it is. Their callbacks are called with the GIL; what one raises ends the run.";

static void drop_capsule(PyObject *capsule) { Py_DECREF((PyObject *)PyCapsule_GetContext(capsule)); }

PyObject *libuv_capsule(PyObject *self, void *Py_UNUSED(closure)) {
  struct loop *loop = (struct loop *)self;
  PyObject *capsule;

  if (loop_check_open(loop) < 0 || (capsule = PyCapsule_New(&loop->uv, CAPSULE, NULL)) == NULL)
    return NULL;
  (void)PyCapsule_SetContext(capsule, Py_NewRef(self)); /* cannot fail with a capsule */
  (void)PyCapsule_SetDestructor(capsule, drop_capsule);
  return capsule;
}
