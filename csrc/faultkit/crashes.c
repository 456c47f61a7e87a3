/* report_crashes(): a fatal signal writes the stack of C functions to a descriptor before it has its way. */
#include "module.h"

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_FRAMES 64

static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
#define FATAL_COUNT (sizeof fatal / sizeof fatal[0])

/* A signal handler has no argument of ours, and signals belong to the process, not to an interpreter: this state can
   live nowhere but here. It is written with the signals' dispositions, under the GIL of whoever calls first. */
static volatile sig_atomic_t target = -1;
static struct sigaction previous[FATAL_COUNT];

static void say(const char *text) {
  ssize_t written = write((int)target, text, strlen(text));
  (void)written; /* nothing more can be done */
}

/* Only what is safe in a signal handler; backtrace() is, once it has been called before. */
static void on_fatal_signal(int number) {
  void *frames[MOST_FRAMES];
  int saved = errno;
  for (size_t i = 0; i < FATAL_COUNT; i++) {
    if (fatal[i] == number) {
      (void)sigaction(number, &previous[i], NULL); /* whose turn comes when the signal is raised again */
    }
  }
  say("C backtrace (");
  say(number == SIGSEGV  ? "SIGSEGV"
      : number == SIGBUS ? "SIGBUS"
      : number == SIGILL ? "SIGILL"
      : number == SIGFPE ? "SIGFPE"
                         : "SIGABRT");
  say("):\n");
  backtrace_symbols_fd(frames, backtrace(frames, MOST_FRAMES), (int)target);
  errno = saved;
  (void)raise(number); /* blocked until we return, and then handled by whoever was there before us */
}

static int install(void) {
  struct sigaction ours = {.sa_handler = on_fatal_signal, .sa_flags = SA_ONSTACK};
  struct sigaction before;
  sigemptyset(&ours.sa_mask);
  for (size_t i = 0; i < FATAL_COUNT; i++) {
    if (sigaction(fatal[i], &ours, &before) < 0) {
      return -1;
    }
    if (before.sa_handler != on_fatal_signal) {
      previous[i] = before;
    }
  }
  return 0;
}

PyDoc_STRVAR(
    report_crashes_doc,
    "report_crashes($module, /, fd)\n--\n\n"
    "Write a C backtrace to a descriptor when a fatal signal comes (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT).\n\n"
    "What handled the signal before, as faulthandler does, has its turn after it. Call it after\n"
    "faulthandler.enable(), whose stack for signals is used. The descriptor has to stay open.\n\n"
    "Raises OSError if the descriptor is not open.");

static PyObject *report_crashes(PyObject *module, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"fd", NULL};
  void *frames[1];
  int descriptor;
  (void)module;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i:report_crashes", names, &descriptor)) {
    return NULL;
  }
  if (write(descriptor, "", 0) < 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  (void)backtrace(frames, 1); /* loads the unwinder, which no signal handler may */
  target = descriptor;
  if (install() < 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  Py_RETURN_NONE;
}

PyMethodDef fk_crash_methods[] = {
    {"report_crashes", (PyCFunction)(void (*)(void))report_crashes, METH_VARARGS | METH_KEYWORDS, report_crashes_doc},
    {NULL, NULL, 0, NULL},
};
