/* Debug mode: where handles were made, what may be called, from which thread, and how long it took. */

#include "debug.h"

#include "compat.h"
#include "handle.h"
#include "loop.h"

PyObject *debug_stack(struct loop *loop) { return PyObject_CallNoArgs(loop->state->extract_stack); }

int debug_check_thread(struct loop *loop) {
  if (loop->thread == 0 || loop->thread == PyThread_get_thread_ident())
    return 0;
  PyErr_SetString(PyExc_RuntimeError, "Non-thread-safe operation invoked on an event loop other than the current one");
  return -1;
}

static int is_true_of(PyObject *predicate, PyObject *object) {
  PyObject *answer = PyObject_CallOneArg(predicate, object);
  int truth;

  if (answer == NULL)
    return -1;
  truth = PyObject_IsTrue(answer);
  Py_DECREF(answer);
  return truth;
}

int debug_check_callback(struct loop *loop, PyObject *callback, const char *method) {
  int coroutine = is_true_of(loop->state->is_coroutine, callback);

  if (coroutine == 0)
    coroutine = is_true_of(loop->state->is_coroutine_function, callback);
  if (coroutine < 0)
    return -1;
  if (coroutine) {
    PyErr_Format(PyExc_TypeError, "coroutines cannot be used with %s()", method);
    return -1;
  }
  if (!PyCallable_Check(callback)) {
    PyErr_Format(PyExc_TypeError, "a callable object was expected by %s(), got %R", method, callback);
    return -1;
  }
  return 0;
}

/* Tells the loop that a callback took so many seconds. */
static int report_slow(struct loop *loop, struct handle *handle, double seconds) {
  PyObject *number = PyFloat_FromDouble(seconds);
  PyObject *done;

  if (number == NULL)
    return -1;
  done = PyObject_CallMethodObjArgs((PyObject *)loop, loop->state->str_callback_was_slow, (PyObject *)handle, number,
                                    NULL);
  Py_DECREF(number);
  if (done == NULL)
    return -1;
  Py_DECREF(done);
  return 0;
}

int debug_run(struct loop *loop, struct handle *handle) {
  double start, end;
  int failed;

  if (loop_now(loop, &start) < 0)
    return -1;
  loop->current = handle;
  failed = handle_run(handle);
  if (!failed && loop_now(loop, &end) == 0) {
    if (end - start >= loop->slow_callback_duration)
      failed = report_slow(loop, handle, end - start);
  } else {
    failed = -1;
  }
  loop->current = NULL;
  return failed;
}
