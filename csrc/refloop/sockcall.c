/* A call on a socket as a coroutine. It waits for a plain asyncio future, which our pollee ends; the call itself is
   made in the turn of the task. So a task that is cancelled, at whatever point, has taken nothing from the socket. */

#include "sockcall.h"

#include <limits.h>

#include "compat.h"
#include "loop.h"
#include "watch.h"

static struct socket_call *as_call(PyObject *self) { return (struct socket_call *)self; }

/* Releases all that the call needed. May run any code. */
static void finish(struct socket_call *call) {
  call->phase = CALL_OVER;
  pollee_unwatch(call->loop, &call->pollee);
  PyBuffer_Release(&call->data);
  Py_CLEAR(call->future);
  Py_CLEAR(call->sock);
  for (int i = 0; i < SOCKET_CALL_ARGS; i++)
    Py_CLEAR(call->args[i]);
}

/* Whether a future is cancelled, which may be asked with an exception set. */
static bool is_cancelled(struct loop *loop, PyObject *future) {
  PyObject *exception = take_exception(), *cancelled = PyObject_CallMethodNoArgs(future, loop->state->str_cancelled);
  bool truth = cancelled == Py_True;

  Py_XDECREF(cancelled);
  give_exception(exception); /* rather than one of asking */
  return truth;
}

/* The socket is ready: has the task run, unless that is cancelled. */
static int on_ready(struct loop *loop, struct pollee *pollee) {
  struct socket_call *call = as_call(pollee_owner(pollee));
  PyObject *future = call->future, *set;

  /* whoever calls this has a reference to the owner */
  if (call->operation->direction == POLL_READ)
    pollee_leave(loop, pollee);
  else
    pollee_unwatch(loop, pollee);
  call->woken = true;
  call->future = NULL;
  if (future == NULL)
    return 0;
  set = PyObject_CallMethodOneArg(future, loop->state->str_set_result, Py_None);
  Py_XDECREF(set);
  if (set == NULL && is_cancelled(loop, future)) { /* the task has not run yet */
    PyErr_Clear();
    set = Py_None;
  }
  Py_DECREF(future);
  return set != NULL ? 0 : -1;
}

static const struct pollee_kind call_kind = {
    .run = on_ready, .place = offsetof(struct socket_call, pollee), .at_once = true};

PyObject *socket_call_new(struct loop *loop, const struct socket_operation *operation, PyObject *sock,
                          PyObject *const args[SOCKET_CALL_ARGS]) {
  struct socket_call *call = PyObject_GC_New(struct socket_call, loop->state->socket_call_type);

  if (call == NULL)
    return NULL;
  call->operation = operation;
  call->loop = (struct loop *)Py_NewRef((PyObject *)loop);
  call->sock = Py_NewRef(sock);
  for (int i = 0; i < SOCKET_CALL_ARGS; i++)
    call->args[i] = Py_XNewRef(args[i]);
  call->future = NULL;
  call->data.obj = NULL;
  call->sent = 0;
  call->fd = -1;
  call->pollee = (struct pollee){.kind = &call_kind};
  call->phase = CALL_NEW;
  call->woken = false;
  PyObject_GC_Track(call);
  return (PyObject *)call;
}

/* Checks the socket: that it is not blocking (debug mode), and if it is no plain one, that it is not of TLS. */
static int check_socket(struct socket_call *call) {
  struct loop *loop = call->loop;
  PyObject *done;

  if (!loop->debug && (PyObject *)Py_TYPE(call->sock) == loop->state->python_socket_type)
    return 0;
  if ((done = PyObject_CallMethodOneArg((PyObject *)loop, loop->state->str_check_socket, call->sock)) == NULL)
    return -1;
  Py_DECREF(done);
  return 0;
}

/* The future that a task waits for when a coroutine yields it. */
static PyObject *new_future(struct loop *loop) {
  PyObject *future = loop_new_future(loop);

  if (future != NULL && PyObject_SetAttr(future, loop->state->str_asyncio_future_blocking, Py_True) < 0)
    Py_CLEAR(future);
  return future;
}

int socket_call_descriptor(struct socket_call *call) {
  struct core_state *state = call->loop->state;
  PyObject *number;
  long fd;

  if (state->sees_numbers && (PyObject *)Py_TYPE(call->sock) == state->python_socket_type) {
    call->fd = number_in_socket(call->sock); /* -1 if it is closed */
    return 0;
  }
  if ((number = PyObject_CallMethodNoArgs(call->sock, state->str_fileno)) == NULL)
    return -1;
  fd = PyLong_AsLong(number);
  call->fd = fd < 0 || fd >= INT_MAX ? -1 : (int)fd;
  Py_DECREF(number);
  return fd == -1 && PyErr_Occurred() ? -1 : 0;
}

/* Raises RuntimeError and returns -1 if a transport has the socket for itself. */
static int check_unclaimed(struct socket_call *call) {
  PyObject *number = PyLong_FromLong(call->fd);
  int failed = number == NULL || watch_check_unclaimed(call->loop, call->fd, number) < 0;

  Py_XDECREF(number);
  return failed ? -1 : 0;
}

/* Waits for the socket. Returns the future that the task has to wait for, or NULL with an exception. */
static PyObject *wait_for_socket(struct socket_call *call) {
  struct loop *loop = call->loop;

  if (call->fd < 0 && socket_call_descriptor(call) < 0)
    return NULL;
  if (call->fd < 0) {
    PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %d", call->fd);
    return NULL;
  }
  if (check_unclaimed(call) < 0 || (call->future = new_future(loop)) == NULL ||
      pollee_watch(loop, &call->pollee, call->fd, call->operation->direction) < 0)
    return NULL;
  return Py_NewRef(call->future);
}

/* Raises what becomes of one who uses a coroutine that runs or is over. Returns -1, or 0 if neither is the case. */
static int check_usable(const struct socket_call *call) {
  if (call->phase == CALL_RUNNING)
    PyErr_SetString(PyExc_ValueError, "coroutine already executing");
  else if (call->phase == CALL_OVER)
    PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
  else
    return 0;
  return -1;
}

/* Makes the call, for the first time or again. */
static PySendResult resume(PyObject *self, PyObject *Py_UNUSED(value), PyObject **result) {
  struct socket_call *call = as_call(self);
  enum outcome outcome = CALL_FAILED;
  bool new = call->phase == CALL_NEW;

  *result = NULL;
  if (check_usable(call) < 0)
    return PYGEN_ERROR;
  call->phase = CALL_RUNNING;
  call->fd = -1;                             /* the program may have closed the socket since the last attempt */
  pollee_unwatch(call->loop, &call->pollee); /* it is, if something else than the socket has had us run */
  Py_CLEAR(call->future);
  if (!new || check_socket(call) == 0)
    outcome = call->operation->attempt(call, result);
  if (outcome == CALL_BLOCKED && (*result = wait_for_socket(call)) != NULL) {
    call->phase = CALL_WAITING;
    return PYGEN_NEXT;
  }
  if (outcome == CALL_DONE) {
    finish(call);
    return PYGEN_RETURN;
  }
  {
    PyObject *exception = take_exception();
    finish(call);
    give_exception(exception);
  }
  return PYGEN_ERROR;
}

/* Raises StopIteration with this value, whose reference is stolen. */
static void stop_iteration(PyObject *value) {
  PyObject *exception = Py_NewRef(value);

  if (PyTuple_Check(value)) /* it would be taken for the arguments of the exception */
    Py_SETREF(exception, PyObject_CallOneArg(PyExc_StopIteration, value));
  Py_DECREF(value);
  if (exception != NULL)
    PyErr_SetObject(PyExc_StopIteration, exception);
  Py_XDECREF(exception);
}

static PyObject *next(PyObject *self) {
  PyObject *result;

  if (resume(self, Py_None, &result) == PYGEN_RETURN) {
    stop_iteration(result);
    return NULL;
  }
  return result;
}

static PyObject *itself(PyObject *self) { return Py_NewRef(self); }

PyDoc_STRVAR(send_doc, "send($self, value, /)\n--\n\nMake the call, or make it again; returns what to wait for.");

static PyObject *call_send(PyObject *self, PyObject *value) {
  (void)value; /* nothing needs one */
  return next(self);
}

PyDoc_STRVAR(throw_doc, "throw($self, type, value=None, traceback=None, /)\n--\n\nGive the call up and raise that.");

static PyObject *call_throw(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
  PyObject *type = nargs > 0 ? args[0] : NULL, *value = nargs > 1 ? args[1] : Py_None;
  PyObject *traceback = nargs > 2 ? args[2] : Py_None;

  if (nargs < 1 || nargs > 3) {
    PyErr_Format(PyExc_TypeError, "throw() takes 1 to 3 arguments but %zd were given", nargs);
    return NULL;
  }
  if (check_usable(as_call(self)) < 0)
    return NULL;
  if (traceback != Py_None && !PyTraceBack_Check(traceback)) {
    PyErr_SetString(PyExc_TypeError, "throw() third argument must be a traceback object");
    return NULL;
  }
  if (PyExceptionInstance_Check(type) && value == Py_None) {
    value = type;
    type = PyExceptionInstance_Class(value);
    if (traceback == Py_None && (traceback = PyException_GetTraceback(value)) != NULL)
      Py_DECREF(traceback); /* the exception keeps it */
  } else if (!PyExceptionClass_Check(type)) {
    PyErr_Format(PyExc_TypeError,
                 PyExceptionInstance_Check(type)
                     ? "instance exception may not have a separate value: %R"
                     : "exceptions must be classes or instances deriving from BaseException, not %R",
                 type);
    return NULL;
  }
  Py_INCREF(type);
  Py_XINCREF(value == Py_None ? NULL : value);
  Py_XINCREF(traceback == Py_None ? NULL : traceback);
  finish(as_call(self));
  PyErr_Restore(type, value == Py_None ? NULL : value, traceback == Py_None ? NULL : traceback);
  return NULL;
}

PyDoc_STRVAR(close_doc, "close($self, /)\n--\n\nGive the call up.");

static PyObject *call_close(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct socket_call *call = as_call(self);

  if (call->phase == CALL_RUNNING && check_usable(call) < 0)
    return NULL;
  if (call->phase != CALL_OVER)
    finish(call);
  Py_RETURN_NONE;
}

static PyObject *get_name(PyObject *self, void *Py_UNUSED(closure)) {
  return PyUnicode_FromString(as_call(self)->operation->name);
}

static PyObject *get_qualified_name(PyObject *self, void *Py_UNUSED(closure)) {
  return PyUnicode_FromFormat("Loop.%s", as_call(self)->operation->name);
}

static PyObject *call_repr(PyObject *self) {
  return PyUnicode_FromFormat("<coroutine object Loop.%s at %p>", as_call(self)->operation->name, self);
}

static void call_finalize(PyObject *self) {
  PyObject *exception;

  if (as_call(self)->phase != CALL_NEW)
    return;
  exception = take_exception();
  if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine 'Loop.%s' was never awaited",
                       as_call(self)->operation->name) < 0)
    PyErr_WriteUnraisable(self);
  give_exception(exception);
}

static int call_traverse(PyObject *self, visitproc visit, void *arg) {
  struct socket_call *call = as_call(self);

  Py_VISIT(Py_TYPE(self));
  Py_VISIT((PyObject *)call->loop);
  Py_VISIT(call->sock);
  for (int i = 0; i < SOCKET_CALL_ARGS; i++)
    Py_VISIT(call->args[i]);
  Py_VISIT(call->future);
  Py_VISIT(call->data.obj);
  return 0;
}

static int call_clear(PyObject *self) {
  finish(as_call(self)); /* the loop stays: a cycle through it is broken without */
  return 0;
}

static void call_dealloc(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);

  if (PyObject_CallFinalizerFromDealloc(self) < 0)
    return;
  PyObject_GC_UnTrack(self);
  finish(as_call(self));
  Py_DECREF(as_call(self)->loop);
  PyObject_GC_Del(self);
  Py_DECREF(type);
}

static PyMethodDef call_methods[] = {
    {"send", call_send, METH_O, send_doc},
    {"throw", (PyCFunction)(void (*)(void))call_throw, METH_FASTCALL, throw_doc},
    {"close", call_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef call_attributes[] = {
    {"__name__", get_name, NULL, "The name of the loop's method.", NULL},
    {"__qualname__", get_qualified_name, NULL, "That with the name of the class.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot call_slots[] = {
    {Py_tp_doc, (void *)"A coroutine that makes a call on a socket, at once or when it would not block."},
    {Py_tp_dealloc, (void *)call_dealloc},
    {Py_tp_finalize, (void *)call_finalize},
    {Py_tp_traverse, (void *)call_traverse},
    {Py_tp_clear, (void *)call_clear},
    {Py_tp_repr, (void *)call_repr},
    {Py_tp_methods, call_methods},
    {Py_tp_getset, call_attributes},
    {Py_tp_iternext, (void *)next},
    {Py_am_await, (void *)itself},
    {Py_am_send, (void *)resume},
    {0, NULL},
};

static PyType_Spec call_spec = {
    .name = "refloop._core.SocketCall",
    .basicsize = sizeof(struct socket_call),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = call_slots,
};

int socket_call_type_init(PyObject *module) {
  struct core_state *state = PyModule_GetState(module);

  state->socket_call_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &call_spec, NULL);
  return state->socket_call_type != NULL ? 0 : -1;
}
