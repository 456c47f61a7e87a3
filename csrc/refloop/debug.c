/* Debug mode: where handles were made, what may be called, from which thread, and how long it took. */

#include "debug.h"

#include "callee.h"
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

/* Tells the loop that what a handle or another object called took so many seconds. */
static int report_slow(struct loop *loop, PyObject *caller, double seconds) {
  PyObject *number = PyFloat_FromDouble(seconds);
  PyObject *done;

  if (number == NULL)
    return -1;
  done = PyObject_CallMethodObjArgs((PyObject *)loop, loop->state->str_callback_was_slow, caller, number, NULL);
  Py_DECREF(number);
  if (done == NULL)
    return -1;
  Py_DECREF(done);
  return 0;
}

/* Reports a call that began at this time, if it was slow. */
static int check_duration(struct loop *loop, PyObject *caller, double start) {
  double end;

  if (loop_now(loop, &end) < 0)
    return -1;
  return end - start >= loop->slow_callback_duration ? report_slow(loop, caller, end - start) : 0;
}

int debug_run(struct loop *loop, struct handle *handle) {
  double start;
  int failed;

  if (loop_now(loop, &start) < 0)
    return -1;
  loop->current = handle;
  failed = handle_run(handle) < 0 || check_duration(loop, (PyObject *)handle, start) < 0;
  loop->current = NULL;
  return failed ? -1 : 0;
}

int debug_run_pollee(struct loop *loop, struct pollee *pollee) {
  double start;

  if (loop_now(loop, &start) < 0 || pollee->kind->run(loop, pollee) < 0)
    return -1;
  return pollee_owner(pollee) != NULL ? check_duration(loop, pollee_owner(pollee), start) : 0;
}
