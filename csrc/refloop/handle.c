/* Handle and TimerHandle: life, calling, cancelling. Their faces are in handle_type.c. */

#include "handle.h"

#include <string.h>

#include "compat.h"
#include "debug.h"
#include "errors.h"
#include "handle_type.h"
#include "loop.h"
#include "state.h"

#define FREE_HANDLES_MAX 1024 /* of each type: about as many as a burst of calls has in flight */
/* So many of them are for when there is no memory: a future that ends without the call of who waits for it never ends
   for them, and nobody can make up for that. */
#define RESERVED_HANDLES 16

static struct handle *new_handle(struct core_state *state, bool timer) {
  return timer ? (struct handle *)PyObject_GC_New(struct timer_handle, state->timer_handle_type)
               : PyObject_GC_New(struct handle, state->handle_type);
}

static struct handle *allocate(struct core_state *state, bool timer) {
  struct handle **list = timer ? &state->free_timer_handles : &state->free_handles;
  unsigned *count = timer ? &state->free_timer_handle_count : &state->free_handle_count;
  struct handle *handle = NULL;

  if (*count <= RESERVED_HANDLES) {
    if ((handle = new_handle(state, timer)) != NULL || *list == NULL)
      return handle;
    PyErr_Clear();
  }
  handle = *list;
  *list = (struct handle *)handle->callback;
  --*count;
  PyObject_Init((PyObject *)handle, timer ? state->timer_handle_type : state->handle_type);
  return handle;
}

/* Keeps a dead handle for reuse. Returns false if there are enough of them. */
static bool keep(struct core_state *state, struct handle *handle) {
#ifdef Py_GIL_DISABLED
  (void)state;
  (void)handle;
  return false;
#else
  struct handle **list = handle->is_timer ? &state->free_timer_handles : &state->free_handles;
  unsigned *count = handle->is_timer ? &state->free_timer_handle_count : &state->free_handle_count;

  if (*count >= FREE_HANDLES_MAX)
    return false;
  handle->callback = (PyObject *)*list;
  *list = handle;
  ++*count;
  return true;
#endif
}

int handle_reserve(struct core_state *state) {
  for (int i = 0; i < RESERVED_HANDLES; i++) {
    struct handle *handle = new_handle(state, false);

    if (handle == NULL)
      return -1;
    handle->is_timer = false;
    Py_DECREF(state->handle_type); /* as of one that is freed */
    if (!keep(state, handle))
      PyObject_GC_Del(handle);
  }
  return 0;
}

void handle_free_lists_clear(struct core_state *state) {
  struct handle *handle;

  while ((handle = state->free_handles) != NULL) {
    state->free_handles = (struct handle *)handle->callback;
    PyObject_GC_Del(handle);
  }
  while ((handle = state->free_timer_handles) != NULL) {
    state->free_timer_handles = (struct handle *)handle->callback;
    PyObject_GC_Del(handle);
  }
  state->free_handle_count = FREE_HANDLES_MAX; /* take no more: the types go away */
  state->free_timer_handle_count = FREE_HANDLES_MAX;
}

/* Gives the handle a copy of the current context; in a burst not if that is empty, for each is one more object. Returns
   0, or -1 with an exception. */
static int copy_context(struct handle *handle) {
  PyObject *context = PyContext_CopyCurrent();
  Py_ssize_t variables = -1;

  if (context == NULL)
    return -1;
  if (!handle->is_timer && handle->loop->ready.count >= HANDLE_BURST && (variables = PyObject_Length(context)) < 0)
    PyErr_Clear();
  if (variables == 0)
    Py_DECREF(context);
  else
    handle->context = context;
  return 0;
}

/* Fills in all but the timer. Returns 0; or -1 with an exception, and the handle is gone. */
static int set_up(struct handle *handle, struct loop *loop, PyObject *callback, PyObject *const *args, Py_ssize_t nargs,
                  PyObject *context, bool timer) {
  Py_ssize_t i;

  handle->callback = Py_NewRef(callback);
  handle->context = NULL;
  handle->loop = (struct loop *)Py_NewRef((PyObject *)loop);
  for (i = 0; i < HANDLE_INLINE_ARGS; i++)
    handle->args[i] = i < nargs && nargs <= HANDLE_INLINE_ARGS ? Py_NewRef(args[i]) : NULL;
  handle->source_traceback = NULL;
#if PY_VERSION_HEX < 0x030C0000
  handle->weakrefs = NULL;
#endif
  handle->text = NULL;
  handle->unused = NULL;
  handle->nargs = nargs;
  handle->cancelled = false;
  handle->running = false;
  handle->is_timer = timer;
  handle->hidden = false;
  if (nargs > HANDLE_INLINE_ARGS) {
    PyObject *all = PyTuple_New(nargs);
    if (all == NULL)
      goto fail;
    for (i = 0; i < nargs; i++)
      PyTuple_SET_ITEM(all, i, Py_NewRef(args[i]));
    handle->args[0] = all;
  }
  if (context != NULL && context != Py_None)
    handle->context = Py_NewRef(context);
  else if (copy_context(handle) < 0)
    goto fail;
  PyObject_GC_Track(handle);
  if (loop->debug) {
    handle->source_traceback = debug_stack(loop);
    if (handle->source_traceback == NULL) {
      Py_DECREF(handle);
      return -1;
    }
  }
  return 0;

fail:
  PyObject_GC_Track(handle); /* as its deallocation expects */
  Py_DECREF(handle);
  return -1;
}

static bool context_is_valid(PyObject *context) {
  if (context == NULL || context == Py_None || PyContext_CheckExact(context))
    return true;
  PyErr_Format(PyExc_TypeError, "context must be a contextvars.Context, not %.200s", Py_TYPE(context)->tp_name);
  return false;
}

struct handle *handle_new(struct loop *loop, PyObject *callback, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *context) {
  struct handle *handle;

  if (!context_is_valid(context) || (handle = allocate(loop->state, false)) == NULL)
    return NULL;
  return set_up(handle, loop, callback, args, nargs, context, false) < 0 ? NULL : handle;
}

struct timer_handle *timer_handle_new(struct loop *loop, double when, PyObject *callback, PyObject *const *args,
                                      Py_ssize_t nargs, PyObject *context) {
  struct timer_handle *handle;

  if (!context_is_valid(context) || (handle = (struct timer_handle *)allocate(loop->state, true)) == NULL)
    return NULL;
  handle->timer.when = when;
  handle->timer.place = TIMER_IDLE;
  return set_up(&handle->base, loop, callback, args, nargs, context, true) < 0 ? NULL : handle;
}

/* Releases what the handle would have called. */
static void drop(struct handle *handle) {
  Py_CLEAR(handle->callback);
  for (int i = 0; i < HANDLE_INLINE_ARGS; i++)
    Py_CLEAR(handle->args[i]);
}

static PyObject *call(struct handle *handle) {
  PyObject *stack[1 + HANDLE_INLINE_ARGS]; /* the first belongs to the callee:
                                              PY_VECTORCALL_ARGUMENTS_OFFSET */

  if (handle->nargs > HANDLE_INLINE_ARGS)
    return PyObject_Call(handle->callback, handle->args[0], NULL);
  stack[0] = NULL;
  memcpy(stack + 1, handle->args, sizeof(handle->args));
  return PyObject_Vectorcall(handle->callback, stack + 1, (size_t)handle->nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

PyObject *handle_context(struct handle *handle) {
  if (handle->context == NULL)
    handle->context = PyContext_New();
  return handle->context;
}

void handle_hide(struct handle *handle) {
#ifndef Py_GIL_DISABLED /* where more than the count tells who has it */
  if (Py_REFCNT(handle) != 1 || handle->is_timer)
    return;
  PyObject_GC_UnTrack(handle);
  handle->hidden = true;
#else
  (void)handle;
#endif
}

void handle_unhide(struct handle *handle) {
  if (!handle->hidden)
    return;
  handle->hidden = false;
  if (Py_REFCNT(handle) > 1)
    PyObject_GC_Track(handle);
}

int handle_run(struct handle *handle) {
  PyObject *result, *context;
  bool outermost = !handle->running;

  if (handle->callback == NULL)
    return 0;
  context = handle_context(handle);
  handle->running = true; /* from here to the end of the call cancel() leaves callback and arguments alone */
  result = NULL;
  if (context != NULL && PyContext_Enter(context) == 0) {
    result = call(handle);
    if (PyContext_Exit(context) < 0)
      Py_CLEAR(result);
  }
  if (outermost)
    handle->running = false;
  if (result != NULL) {
    Py_DECREF(result);
  } else if (errors_report_callback(handle->loop, handle) < 0) {
    if (outermost && handle->cancelled) {
      PyObject *exception = take_exception();
      drop(handle);
      give_exception(exception);
    }
    return -1;
  }
  if (outermost && handle->cancelled)
    drop(handle);
  return 0;
}

/* Keeps what repr() tells of a handle that is about to lose its callback. */
static void keep_text(struct handle *handle) {
  PyObject *exception = take_exception();

  handle->text = PyObject_Repr((PyObject *)handle);
  if (handle->text == NULL)
    PyErr_WriteUnraisable(handle->callback);
  give_exception(exception);
}

void handle_cancel(struct handle *handle) {
  if (handle->cancelled)
    return;
  handle->cancelled = true;
  Py_INCREF(handle); /* the heap's reference may be the last */
  if (handle->is_timer)
    loop_drop_timer(handle->loop, (struct timer_handle *)handle);
  if (handle->loop->debug)
    keep_text(handle);
  if (!handle->running)
    drop(handle);
  Py_DECREF(handle);
}

int handle_traverse(PyObject *self, visitproc visit, void *arg) {
  struct handle *handle = (struct handle *)self;

  Py_VISIT(Py_TYPE(self));
  Py_VISIT(handle->callback);
  Py_VISIT(handle->context);
  Py_VISIT((PyObject *)handle->loop);
  for (int i = 0; i < HANDLE_INLINE_ARGS; i++)
    Py_VISIT(handle->args[i]);
  Py_VISIT(handle->source_traceback);
  Py_VISIT(handle->text);
  return 0;
}

int handle_traverse_owned(struct handle *handle, visitproc visit, void *arg) {
  if (!handle->hidden)
    Py_VISIT((PyObject *)handle);
  else if (Py_REFCNT(handle) == 1)
    return handle_traverse((PyObject *)handle, visit, arg);
  return 0;
}

int handle_clear(PyObject *self) {
  struct handle *handle = (struct handle *)self;

  /* context and loop stay: methods count on them, and the cycles that a handle can be in are broken
   * without */
  drop(handle);
  Py_CLEAR(handle->source_traceback);
  Py_CLEAR(handle->text);
  return 0;
}

void handle_dealloc(PyObject *self) {
  struct handle *handle = (struct handle *)self;
  PyTypeObject *type = Py_TYPE(self);
  struct loop *loop = handle->loop;

  PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(self, handle_dealloc) PyObject_ClearWeakRefs(self);
  handle_clear(self);
  Py_CLEAR(handle->context);
  if (!keep(loop->state, handle))
    PyObject_GC_Del(self);
  Py_DECREF(type);
  Py_DECREF(loop);
  Py_TRASHCAN_END
}
