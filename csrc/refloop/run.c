/* Running: run_forever(), stop(), and one iteration of the loop. */

#include "callee.h"
#include "compat.h"
#include "loop.h"

#define CLOCK_RESOLUTION 1e-9 /* of the monotonic clock: a timer may run so much before its time */
#define ATTEMPTS 16           /* to have no running loop any more */

/* Queues the handles of the timers that are due. */
static int take_due_timers(struct loop *loop) {
  struct timer *first = timer_heap_first(&loop->timers);
  double end;

  if (first == NULL)
    return 0;
  if (loop_now(loop, &end) < 0)
    return -1;
  end += CLOCK_RESOLUTION;
  /* a deadline that is not a number is due; looked up anew each time: asking the time may have run
   * other code */
  while ((first = timer_heap_first(&loop->timers)) != NULL && !(first->when >= end)) {
    if (ready_push(&loop->ready, handle_of_timer(first)) < 0) {
      PyErr_NoMemory();
      return -1;
    }
    timer_heap_remove(&loop->timers, first); /* its reference has gone to the ring */
  }
  return 0;
}

/* Runs what is queued now; what is queued meanwhile waits for the next iteration. After an
   exception that leaves the run, the others are still queued. */
static int run_batch(struct loop *loop) {
  for (size_t left = loop->ready.count; left > 0; left--) {
    if (callee_run(loop, ready_pop(&loop->ready)) < 0)
      return -1;
  }
  return 0;
}

static int iterate(struct loop *loop) {
  return wakeup_poll(loop) < 0 || take_due_timers(loop) < 0 || run_batch(loop) < 0 ? -1 : 0;
}

static int run(struct loop *loop) {
  if (wakeup_begin(loop) < 0)
    return -1;
  do {
    if (iterate(loop) < 0)
      return -1;
  } while (!loop->stopping);
  ready_trim(&loop->ready);
  return 0;
}

/* Raises RuntimeError and returns -1 if this loop runs, or another one in this thread. */
static int check_running(struct loop *loop) {
  PyObject *running;

  if (loop->thread != 0) {
    PyErr_SetString(PyExc_RuntimeError, "This event loop is already running");
    return -1;
  }
  if ((running = PyObject_CallNoArgs(loop->state->get_running_loop)) == NULL)
    return -1;
  Py_DECREF(running);
  if (running == Py_None)
    return 0;
  PyErr_SetString(PyExc_RuntimeError, "Cannot run the event loop while another loop is running");
  return -1;
}

/* Drops the result of a call. Returns 0, or -1 if it failed. */
static int done(PyObject *result) {
  Py_XDECREF(result);
  return result != NULL ? 0 : -1;
}

static int track_origins(struct loop *loop, bool enabled) {
  return done(PyObject_CallMethodOneArg((PyObject *)loop, loop->state->str_set_coroutine_origin_tracking,
                                        enabled ? Py_True : Py_False));
}

static int set_running(struct loop *loop, PyObject *running) {
  return done(PyObject_CallOneArg(loop->state->set_running_loop, running));
}

/* Makes the loop's hooks those of the thread. */
static int set_hooks(struct loop *loop) {
  PyObject *hooks[2], *result = NULL;

  hooks[0] = PyObject_GetAttr((PyObject *)loop, loop->state->str_asyncgen_firstiter_hook);
  hooks[1] = hooks[0] ? PyObject_GetAttr((PyObject *)loop, loop->state->str_asyncgen_finalizer_hook) : NULL;
  if (hooks[1] != NULL)
    result = PyObject_Vectorcall(loop->state->set_asyncgen_hooks, hooks, 2, NULL);
  Py_XDECREF(hooks[0]);
  Py_XDECREF(hooks[1]);
  return done(result);
}

/* Keeps the first exception of several steps that are all made: takes the one that is set, if any. */
static void keep_first(PyObject **first) {
  PyObject *exception = take_exception();

  if (*first == NULL)
    *first = exception;
  else
    Py_XDECREF(exception);
}

/* Undoes begin(). An exception that is set stays; else one of this is set. */
static int end(struct loop *loop, PyObject *hooks) {
  PyObject *first = take_exception();

  loop->stopping = false;
  loop->thread = 0;
  Py_CLEAR(loop->itself); /* a cycle */
  /* it may take memory, and where it fails the thread keeps a running loop for good */
  for (int attempt = 0; attempt < ATTEMPTS && set_running(loop, Py_None) < 0; attempt++)
    keep_first(&first);
  (void)track_origins(loop, false);
  keep_first(&first);
  (void)done(PyObject_Call(loop->state->set_asyncgen_hooks, hooks, NULL));
  keep_first(&first);
  if (first == NULL)
    return 0;
  give_exception(first);
  return -1;
}

/* Marks the loop as the running one of this thread. */
static int begin(struct loop *loop) {
  loop->thread = PyThread_get_thread_ident();
  if ((loop->itself = PyDict_New()) == NULL ||
      PyDict_SetItem(loop->itself, loop->state->str_loop, (PyObject *)loop) < 0)
    return -1;
  return set_hooks(loop) < 0 || (loop->debug && track_origins(loop, true) < 0) ||
                 set_running(loop, (PyObject *)loop) < 0
             ? -1
             : 0;
}

PyDoc_STRVAR(run_forever_doc, "run_forever($self, /)\n--\n\nRun until stop() is called.");

static PyObject *run_forever(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct loop *loop = (struct loop *)self;
  PyObject *hooks;
  int failed;

  if (loop_check_open(loop) < 0 || check_running(loop) < 0)
    return NULL;
  if ((hooks = PyObject_CallNoArgs(loop->state->get_asyncgen_hooks)) == NULL)
    return NULL;
  failed = begin(loop) < 0 || run(loop) < 0;
  wakeup_end(loop);
  failed |= end(loop, hooks) < 0;
  Py_DECREF(hooks);
  if (failed)
    return NULL;
  Py_RETURN_NONE;
}

PyDoc_STRVAR(stop_doc, "stop($self, /)\n--\n\nHave the run end after this iteration, or the next run after one.");

static PyObject *stop(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  ((struct loop *)self)->stopping = true;
  Py_RETURN_NONE;
}

PyDoc_STRVAR(is_running_doc, "is_running($self, /)\n--\n\nWhether the loop runs, in whatever thread.");

static PyObject *is_running(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return PyBool_FromLong(((struct loop *)self)->thread != 0);
}

PyDoc_STRVAR(check_running_doc,
             "_check_running($self, /)\n--\n\nRaise RuntimeError if this or another loop runs here.");

static PyObject *check_running_method(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  if (check_running((struct loop *)self) < 0)
    return NULL;
  Py_RETURN_NONE;
}

PyMethodDef loop_run_methods[] = {
    {"run_forever", run_forever, METH_NOARGS, run_forever_doc},
    {"stop", stop, METH_NOARGS, stop_doc},
    {"is_running", is_running, METH_NOARGS, is_running_doc},
    {"_check_running", check_running_method, METH_NOARGS, check_running_doc},
    {NULL, NULL, 0, NULL},
};
