/* Sleeping and waking up: the one place where the loop gives up the GIL and waits for events. */

#include "wakeup.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <unistd.h>
#include <uv.h>

#include "compat.h"
#include "libuv.h"
#include "loop.h"

#define LONGEST_SLEEP 86400.0  /* seconds; a later deadline is waited for in several turns */
#define TURNS_WITHOUT_YIELD 64 /* iterations after which other threads get a chance to take the GIL */
#define FOR_EVER (-1)
#define NANOSECONDS 1e9

/* Empties the pipe of the signals. Their numbers go on to the descriptor that the program has set for that, if any. */
static void pass_signals_on(struct wakeup *wakeup) {
  unsigned char numbers[64];
  ssize_t count;

  while ((count = read(wakeup->signal_pipe[0], numbers, sizeof(numbers))) > 0) {
    if (wakeup->programs_fd >= 0) {
      ssize_t written = write(wakeup->programs_fd, numbers, (size_t)count);
      (void)written; /* as with Python's own handler, what does not fit is lost */
    }
    if ((size_t)count < sizeof(numbers))
      break;
  }
}

static int on_signal(struct loop *loop, struct pollee *pollee) {
  (void)pollee;
  pass_signals_on(&loop->wakeup);
  return 0;
}

static const struct pollee_kind signals_kind = {.run = on_signal}, libuv_kind = {.run = libuv_serve};

/* Watches a descriptor of the loop's own. */
static int watch_own(struct loop *loop, struct pollee *pollee, const struct pollee_kind *kind, int fd) {
  pollee->kind = kind;
  if (pollee_watch(loop, pollee, fd, POLL_READ) < 0)
    return -1;
  loop->wakeup.own++;
  return 0;
}

int wakeup_init(struct loop *loop) {
  loop->wakeup.signal_pipe[0] = loop->wakeup.signal_pipe[1] = -1;
  return watch_own(loop, &loop->wakeup.uv, &libuv_kind, uv_backend_fd(&loop->uv));
}

/* Whether this is the thread in which Python runs the handlers of signals. Returns -1 with an exception. */
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
  if (pipe2(loop->wakeup.signal_pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  if (watch_own(loop, &loop->wakeup.signals, &signals_kind, loop->wakeup.signal_pipe[0]) == 0)
    return 0;
  wakeup_close(loop); /* else the next run would take it for one that is watched */
  return -1;
}

/* Has Python's signal handler write to this descriptor, -1 for none. (Not PySignal_SetWakeupFd(), which interpreters
   before 3.13 do not export.) Returns 0, or -1 with an exception. */
static int set_wakeup_fd(struct loop *loop, int fd, int *before) {
  PyObject *number = PyLong_FromLong(fd), *old = NULL;

  if (number != NULL)
    old = PyObject_CallOneArg(loop->state->set_wakeup_fd, number);
  Py_XDECREF(number);
  if (old == NULL)
    return -1;
  *before = (int)PyLong_AsLong(old);
  Py_DECREF(old);
  return 0;
}

/* The same with a descriptor that was set before and may have been closed since. Returns the one that was set. */
static int put_wakeup_fd_back(struct loop *loop, int fd) {
  int before = -1;

  if (set_wakeup_fd(loop, fd, &before) < 0) {
    PyErr_Clear();
    if (set_wakeup_fd(loop, -1, &before) < 0)
      PyErr_WriteUnraisable((PyObject *)loop);
  }
  return before;
}

int wakeup_begin(struct loop *loop) {
  int here = handles_signals(loop);

  if (here <= 0)
    return here;
  if (loop->wakeup.signal_pipe[0] < 0 && open_signal_pipe(loop) < 0)
    return -1;
  if (set_wakeup_fd(loop, loop->wakeup.signal_pipe[1], &loop->wakeup.programs_fd) < 0)
    return -1;
  loop->wakeup.catch_signals = true;
  atomic_thread_fence(memory_order_seq_cst); /* an earlier signal left its mark, a later one writes to the pipe */
  return PyErr_CheckSignals();
}

void wakeup_end(struct loop *loop) {
  struct wakeup *wakeup = &loop->wakeup;
  PyObject *exception;
  int current;

  if (!wakeup->catch_signals)
    return;
  exception = take_exception();
  wakeup->catch_signals = false;
  current = put_wakeup_fd_back(loop, wakeup->programs_fd);
  if (current != wakeup->signal_pipe[1]) /* the program has set another one meanwhile: that one counts */
    (void)put_wakeup_fd_back(loop, current);
  pass_signals_on(wakeup);
  give_exception(exception);
}

void wakeup_close(struct loop *loop) {
  for (int i = 0; i < 2; i++) {
    if (loop->wakeup.signal_pipe[i] >= 0)
      close(loop->wakeup.signal_pipe[i]);
    loop->wakeup.signal_pipe[i] = -1;
  }
}

void wakeup_send(struct loop *loop) {
  if (loop->wakeup.asleep && !loop->wakeup.woken) {
    loop->wakeup.woken = true;
    poll_wake(&loop->poll);
  }
}

static int queue_found(void *loop, void *callee) { return callee_queue(loop, callee); }

/* Queues what the poll found; errno is that of the poll. */
static int take_found(struct loop *loop, int failed) {
  if (failed) {
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  return poll_take(&loop->poll, queue_found, loop);
}

/* Waits without the GIL, so many nanoseconds at most. */
static int poll_asleep(struct loop *loop, int64_t timeout) {
  struct wakeup *wakeup = &loop->wakeup;
  int failed;

  wakeup->asleep = true;
  wakeup->woken = false;
  wakeup->unpolled = 0;
  poll_prepare(&loop->poll);
  Py_BEGIN_ALLOW_THREADS failed = poll_wait(&loop->poll, timeout);
  Py_END_ALLOW_THREADS /* leaves errno alone */
      wakeup->asleep = false;
  return take_found(loop, failed);
}

/* Takes what is there already. With nothing but the loop's own descriptors there is nothing that could be. */
static int poll_without_waiting(struct loop *loop) {
  if (++loop->wakeup.unpolled >= TURNS_WITHOUT_YIELD) {
    loop->wakeup.unpolled = 0;
    PyEval_RestoreThread(PyEval_SaveThread());
  }
  if (loop->poll.count <= loop->wakeup.own && !uv_loop_alive(&loop->uv))
    return 0;
  poll_prepare(&loop->poll);
  return take_found(loop, poll_wait(&loop->poll, 0));
}

static bool busy(const struct loop *loop) { return loop->ready.count > 0 || loop->stopping; }

/* How many nanoseconds the loop may sleep until the first timer is due. Returns 0, or -1 with an exception. */
static int time_to_sleep(struct loop *loop, int64_t *timeout) {
  struct timer *first = timer_heap_first(&loop->timers);
  double now, left;

  *timeout = busy(loop) ? 0 : FOR_EVER;
  if (first == NULL || busy(loop))
    return 0;
  if (loop_now(loop, &now) < 0)
    return -1;
  left = first->when - now;
  if (busy(loop) || !(left > 0)) /* asking the time may have run other code; the deadline may not be a number */
    left = 0;
  *timeout = (int64_t)ceil((left < LONGEST_SLEEP ? left : LONGEST_SLEEP) * NANOSECONDS);
  return 0;
}

int wakeup_poll(struct loop *loop) {
  int64_t timeout;

  if (libuv_attend(loop) < 0 || time_to_sleep(loop, &timeout) < 0)
    return -1;
  timeout = libuv_limit(loop, timeout);
  if ((timeout == 0 ? poll_without_waiting(loop) : poll_asleep(loop, timeout)) < 0)
    return -1;
  return loop->wakeup.catch_signals ? PyErr_CheckSignals() : 0;
}
