/* Sleeping and waking up: the one place where the loop gives up the GIL and waits for events. */

#include "wakeup.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <unistd.h>

#include "compat.h"
#include "errors.h"
#include "loop.h"

#define LONGEST_SLEEP 86400.0  /* seconds; a later deadline is waited for in several turns */
#define TURNS_WITHOUT_YIELD 64 /* iterations after which other threads get a chance to take the GIL */

static void on_async(uv_async_t *async) { (void)async; /* that the poll returned is all that was wanted */ }

static void on_alarm(uv_timer_t *alarm) {
  struct loop *loop = alarm->data;

  loop->wakeup.alarm_set = false;
  uv_stop(&loop->uv); /* libuv may run timers before it polls, and would then wait on */
}

static void on_signal(uv_poll_t *poll, int status, int events) {
  struct wakeup *wakeup = &((struct loop *)poll->data)->wakeup;
  ssize_t got;

  (void)status;
  (void)events;
  got = read(wakeup->signal_pipe[0], wakeup->signal_numbers, sizeof(wakeup->signal_numbers));
  if (got > 0)
    wakeup->signal_count = (int)got;
}

int wakeup_init(struct loop *loop) {
  struct wakeup *wakeup = &loop->wakeup;
  int error;

  wakeup->signal_pipe[0] = wakeup->signal_pipe[1] = -1;
  wakeup->async.data = wakeup->alarm.data = wakeup->signals.data = loop;
  error = uv_async_init(&loop->uv, &wakeup->async, on_async);
  return error ? error : uv_timer_init(&loop->uv, &wakeup->alarm);
}

/* Whether this is the thread in which Python runs the handlers of signals. Returns -1 with an
 * exception. */
static int handles_signals(struct loop *loop) {
  PyObject *main_thread, *ident;
  int same;

  if (PyInterpreterState_Get() != PyInterpreterState_Main())
    return 0;
  if ((main_thread = PyObject_CallNoArgs(loop->state->main_thread)) == NULL)
    return -1;
  ident = PyObject_GetAttr(main_thread, loop->state->str_ident);
  Py_DECREF(main_thread);
  if (ident == NULL)
    return -1;
  same = PyLong_Check(ident) && PyLong_AsUnsignedLong(ident) == PyThread_get_thread_ident();
  Py_DECREF(ident);
  return PyErr_Occurred() ? -1 : same;
}

static int open_signal_pipe(struct loop *loop) {
  struct wakeup *wakeup = &loop->wakeup;
  int ends[2], error;

  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  error = uv_poll_init(&loop->uv, &wakeup->signals, ends[0]);
  if (error) {
    close(ends[0]);
    close(ends[1]);
    errors_raise_uv(error);
    return -1;
  }
  wakeup->signal_pipe[0] = ends[0]; /* from here on wakeup_close() disposes of them */
  wakeup->signal_pipe[1] = ends[1];
  error = uv_poll_start(&wakeup->signals, UV_READABLE, on_signal);
  if (error) {
    errors_raise_uv(error);
    return -1;
  }
  return 0;
}

int wakeup_begin(struct loop *loop) {
  int here = handles_signals(loop);

  if (here < 0)
    return -1;
  loop->wakeup.catch_signals = here;
  return here && loop->wakeup.signal_pipe[0] < 0 ? open_signal_pipe(loop) : 0;
}

void wakeup_close(struct loop *loop) {
  uv_close((uv_handle_t *)&loop->wakeup.async, NULL);
  uv_close((uv_handle_t *)&loop->wakeup.alarm, NULL);
  if (loop->wakeup.signal_pipe[0] >= 0)
    uv_close((uv_handle_t *)&loop->wakeup.signals, NULL);
}

void wakeup_closed(struct loop *loop) {
  for (int i = 0; i < 2; i++) {
    if (loop->wakeup.signal_pipe[i] >= 0)
      close(loop->wakeup.signal_pipe[i]);
    loop->wakeup.signal_pipe[i] = -1;
  }
}

void wakeup_send(struct loop *loop) {
  if (loop->wakeup.asleep && !loop->wakeup.woken) {
    loop->wakeup.woken = true;
    uv_async_send(&loop->wakeup.async);
  }
}

void wakeup_need_gil(struct loop *loop) {
  if (loop->wakeup.released != NULL) {
    PyEval_RestoreThread(loop->wakeup.released);
    loop->wakeup.released = NULL;
  }
}

/* Sets the alarm for the first timer, if there is one. Returns 1 if it is due, 0 if not, -1 with an
 * exception. */
static int set_alarm(struct loop *loop) {
  struct wakeup *wakeup = &loop->wakeup;
  struct timer *first = timer_heap_first(&loop->timers);
  double now, left;
  int error;

  if (first == NULL) {
    if (wakeup->alarm_set)
      uv_timer_stop(&wakeup->alarm);
    wakeup->alarm_set = false;
    return 0;
  }
  if (loop_now(loop, &now) < 0)
    return -1;
  left = first->when - now;
  if (!(left > 0)) /* also if it is not a number */
    return 1;
  if (wakeup->alarm_set && wakeup->alarm_when == first->when && loop->own_clock)
    return 0;
  if (left > LONGEST_SLEEP)
    left = LONGEST_SLEEP;
  uv_update_time(&loop->uv);
  error = uv_timer_start(&wakeup->alarm, on_alarm, (uint64_t)ceil(left * 1e3), 0);
  if (error) {
    errors_raise_uv(error);
    return -1;
  }
  wakeup->alarm_when = first->when;
  wakeup->alarm_set = true;
  return 0;
}

static bool busy(const struct loop *loop) { return loop->ready.count > 0 || loop->stopping; }

/* Waits in libuv without the GIL. */
static void sleep_in_poll(struct loop *loop) {
  struct wakeup *wakeup = &loop->wakeup;

  wakeup->asleep = true;
  wakeup->woken = false;
  wakeup->unpolled = 0;
  wakeup->released = PyEval_SaveThread();
  uv_run(&loop->uv, UV_RUN_ONCE);
  wakeup_need_gil(loop);
  wakeup->asleep = false;
}

/* Takes what is there already. With nothing but the loop's own handles there is nothing that could
 * be. */
static void poll_without_waiting(struct loop *loop) {
  if (loop->active > 0)
    uv_run(&loop->uv, UV_RUN_NOWAIT);
  if (++loop->wakeup.unpolled >= TURNS_WITHOUT_YIELD) {
    loop->wakeup.unpolled = 0;
    PyEval_RestoreThread(PyEval_SaveThread());
  }
}

/* Waits until something happens or a timer is due. */
static int poll_until_due(struct loop *loop) {
  int due = set_alarm(loop);

  if (due < 0)
    return -1;
  if (due)
    poll_without_waiting(loop);
  else
    sleep_in_poll(loop);
  return 0;
}

/* Has Python's signal handler write to this descriptor, -1 for none. Returns 0, or -1 with an exception. */
static int set_wakeup_fd(struct loop *loop, int fd, int *before) {
#if PY_VERSION_HEX >= 0x030D0000
  (void)loop;
  *before = PySignal_SetWakeupFd(fd);
  return 0;
#else /* the interpreter does not export that function */
  PyObject *number = PyLong_FromLong(fd), *old = NULL;

  if (number != NULL)
    old = PyObject_CallOneArg(loop->state->set_wakeup_fd, number);
  Py_XDECREF(number);
  if (old == NULL)
    return -1;
  *before = (int)PyLong_AsLong(old);
  Py_DECREF(old);
  return 0;
#endif
}

/* The same with a descriptor that was set before and may have been closed since. Leaves an exception that is set alone.
   Returns the one that was set. */
static int put_wakeup_fd_back(struct loop *loop, int fd) {
  PyObject *exception = take_exception();
  int before = -1;

  if (set_wakeup_fd(loop, fd, &before) < 0) {
    PyErr_Clear();
    if (set_wakeup_fd(loop, -1, &before) < 0)
      PyErr_WriteUnraisable((PyObject *)loop);
  }
  give_exception(exception);
  return before;
}

/* The same as poll_until_due(), and a signal ends it: for the time of the sleep Python's signal handler writes to our
   pipe. What it wrote goes on to the descriptor that the program has set for that, if any. */
static int poll_catching_signals(struct loop *loop) {
  struct wakeup *wakeup = &loop->wakeup;
  int ours = wakeup->signal_pipe[1];
  int programs, current, failed;

  if (set_wakeup_fd(loop, ours, &programs) < 0)
    return -1;
  atomic_thread_fence(memory_order_seq_cst); /* an earlier signal left its mark, a later one writes to the pipe */
  wakeup->signal_count = 0;
  failed = PyErr_CheckSignals();
  if (!failed && busy(loop))
    poll_without_waiting(loop);
  else if (!failed)
    failed = poll_until_due(loop);
  current = put_wakeup_fd_back(loop, programs);
  if (current != ours)
    (void)put_wakeup_fd_back(loop, current); /* a handler of a signal has set another one meanwhile: that one counts */
  if (wakeup->signal_count > 0 && programs >= 0) {
    ssize_t written = write(programs, wakeup->signal_numbers, (size_t)wakeup->signal_count);
    (void)written; /* as with Python's own handler, what does not fit is lost */
  }
  return failed ? failed : PyErr_CheckSignals();
}

int wakeup_poll(struct loop *loop) {
  if (busy(loop)) {
    poll_without_waiting(loop);
    return loop->wakeup.catch_signals ? PyErr_CheckSignals() : 0;
  }
  return loop->wakeup.catch_signals ? poll_catching_signals(loop) : poll_until_due(loop);
}
