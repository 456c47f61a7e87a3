/* Scheduling: call_soon(), call_soon_threadsafe(), call_later(), call_at(). */

#include "schedule.h"
#include "arguments.h"
#include "debug.h"
#include "handle.h"
#include "loop.h"
#include "wakeup.h"

/* The arguments of the methods here; `first` is the name of the first parameter, NULL for a method without it. */
static int parse(struct loop *loop, const char *method, PyObject *first, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *keywords, struct call *call) {
  struct signature signature = {method, first, true};

  return arguments_of_call(loop->state, &signature, args, nargs, keywords, call);
}

/* What call_soon() and call_soon_threadsafe() have in common: queues a new handle. */
static struct handle *queue_call(struct loop *loop, const struct call *call) {
  struct handle *handle = handle_new(loop, call->callback, call->args, call->nargs, call->context);

  if (handle != NULL && loop_queue(loop, handle) < 0)
    Py_CLEAR(handle);
  return handle;
}

struct handle *schedule_soon(struct loop *loop, PyObject *callback, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *context) {
  struct call call = {.callback = callback, .context = context, .args = args, .nargs = nargs};

  if (loop_check_open(loop) < 0 || (loop->debug && debug_check_thread(loop) < 0))
    return NULL;
  return queue_call(loop, &call);
}

PyDoc_STRVAR(call_soon_doc, "call_soon($self, callback, *args, context=None)\n--\n\n"
                            "Call callback(*args) in the next iteration; returns the asyncio.Handle of the call.");

static PyObject *call_soon(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct loop *loop = (struct loop *)self;
  struct call call;

  if (parse(loop, "call_soon", NULL, args, nargs, keywords, &call) < 0 || loop_check_open(loop) < 0)
    return NULL;
  if (loop->debug && (debug_check_thread(loop) < 0 || debug_check_callback(loop, call.callback, "call_soon") < 0))
    return NULL;
  return (PyObject *)queue_call(loop, &call);
}

PyDoc_STRVAR(call_soon_threadsafe_doc, "call_soon_threadsafe($self, callback, *args, context=None)\n--\n\n"
                                       "Like call_soon(), from any thread; wakes the loop if it sleeps.");

static PyObject *call_soon_threadsafe(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct loop *loop = (struct loop *)self;
  struct handle *handle;
  struct call call;

  if (parse(loop, "call_soon_threadsafe", NULL, args, nargs, keywords, &call) < 0 || loop_check_open(loop) < 0)
    return NULL;
  if (loop->debug && debug_check_callback(loop, call.callback, "call_soon_threadsafe") < 0)
    return NULL;
  handle = queue_call(loop, &call);
  if (handle != NULL)
    wakeup_send(loop);
  return (PyObject *)handle;
}

/* Adds a timer to the heap, which takes a reference of its own. */
static PyObject *start_timer(struct loop *loop, double when, const struct call *call) {
  struct timer_handle *handle = timer_handle_new(loop, when, call->callback, call->args, call->nargs, call->context);

  if (handle == NULL)
    return NULL;
  if (loop_check_open(loop) < 0) { /* making it may have run other code */
    Py_DECREF(handle);
    return NULL;
  }
  if (timer_heap_add(&loop->timers, &handle->timer) < 0) {
    Py_DECREF(handle);
    return PyErr_NoMemory();
  }
  return Py_NewRef((PyObject *)handle);
}

/* Both are checked as asyncio's call_at() is, by the same name. */
static int check_timer(struct loop *loop, const struct call *call) {
  if (loop_check_open(loop) < 0)
    return -1;
  return loop->debug && (debug_check_thread(loop) < 0 || debug_check_callback(loop, call->callback, "call_at") < 0) ? -1
                                                                                                                    : 0;
}

PyDoc_STRVAR(call_later_doc,
             "call_later($self, delay, callback, *args, context=None)\n--\n\n"
             "Call callback(*args) after so many seconds; returns the asyncio.TimerHandle of the call.");

static PyObject *call_later(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct loop *loop = (struct loop *)self;
  struct call call;
  double delay, now;

  if (parse(loop, "call_later", loop->state->str_delay, args, nargs, keywords, &call) < 0)
    return NULL;
  if (call.first == Py_None) {
    PyErr_SetString(PyExc_TypeError, "delay must not be None");
    return NULL;
  }
  delay = PyFloat_AsDouble(call.first);
  if (delay == -1.0 && PyErr_Occurred())
    return NULL;
  if (loop_now(loop, &now) < 0 || check_timer(loop, &call) < 0)
    return NULL;
  return start_timer(loop, now + delay, &call);
}

PyDoc_STRVAR(call_at_doc, "call_at($self, when, callback, *args, context=None)\n--\n\n"
                          "Call callback(*args) when time() has reached `when`; returns its asyncio.TimerHandle.");

static PyObject *call_at(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct loop *loop = (struct loop *)self;
  struct call call;
  double when;

  if (parse(loop, "call_at", loop->state->str_when, args, nargs, keywords, &call) < 0)
    return NULL;
  if (call.first == Py_None) {
    PyErr_SetString(PyExc_TypeError, "when cannot be None");
    return NULL;
  }
  if (check_timer(loop, &call) < 0)
    return NULL;
  when = PyFloat_AsDouble(call.first);
  if (when == -1.0 && PyErr_Occurred())
    return NULL;
  return start_timer(loop, when, &call);
}

PyDoc_STRVAR(new_handle_doc, "_new_handle($self, callback, /, *args)\n--\n\n"
                             "A handle for _queue_handle(), which may be queued more than once.");

static PyObject *new_handle(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
  if (nargs < 1) {
    PyErr_SetString(PyExc_TypeError, "_new_handle() needs a callback");
    return NULL;
  }
  return (PyObject *)handle_new((struct loop *)self, args[0], args + 1, nargs - 1, NULL);
}

PyDoc_STRVAR(queue_handle_doc, "_queue_handle($self, handle, /)\n--\n\n"
                               "Queue a handle of this loop, unless it is cancelled, and wake the loop if it sleeps.");

static PyObject *queue_handle(PyObject *self, PyObject *object) {
  struct loop *loop = (struct loop *)self;
  struct handle *handle = (struct handle *)object;

  if (!Py_IS_TYPE(object, loop->state->handle_type) || handle->loop != loop) {
    PyErr_SetString(PyExc_TypeError, "not a handle of this loop");
    return NULL;
  }
  if (!handle->cancelled && !loop->closed) {
    if (loop_queue(loop, handle) < 0)
      return NULL;
    wakeup_send(loop);
  }
  Py_RETURN_NONE;
}

PyMethodDef loop_schedule_methods[] = {
    {"call_soon", WITH_KEYWORDS(call_soon), call_soon_doc},
    {"call_soon_threadsafe", WITH_KEYWORDS(call_soon_threadsafe), call_soon_threadsafe_doc},
    {"call_later", WITH_KEYWORDS(call_later), call_later_doc},
    {"call_at", WITH_KEYWORDS(call_at), call_at_doc},
    {"_new_handle", (PyCFunction)(void (*)(void))new_handle, METH_FASTCALL, new_handle_doc},
    {"_queue_handle", queue_handle, METH_O, queue_handle_doc},
    {NULL, NULL, 0, NULL},
};
