/* Threads that leave the signals of the process to others. */
#include "thread.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK ((size_t)256 * 1024)
#define TURNS 100000

int64_t fk_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * FK_SECOND + now.tv_nsec;
}

struct timespec fk_timespec(int64_t time) {
  return (struct timespec){.tv_sec = (time_t)(time / FK_SECOND), .tv_nsec = (long)(time % FK_SECOND)};
}

int fk_condition_initialise(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  int error = pthread_condattr_init(&attributes);
  if (error == 0) {
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0) {
      error = pthread_cond_init(condition, &attributes);
    }
    pthread_condattr_destroy(&attributes);
  }
  return error;
}

int fk_thread_start(pthread_t *thread, void *(*function)(void *), void *argument) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  pthread_attr_t attributes;
  sigset_t blocked;
  sigset_t before;
  int error = pthread_attr_init(&attributes);
  if (error != 0) {
    return error;
  }
  (void)pthread_attr_setstacksize(&attributes, STACK);
  sigfillset(&blocked);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    sigdelset(&blocked, faults[i]);
  }
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  error = pthread_create(thread, &attributes, function, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}

void fk_thread_await_disappearance(pid_t process, pid_t task) {
  for (int turn = 0; turn < TURNS && syscall(SYS_tgkill, process, task, 0) == 0; turn++) {
    sched_yield();
  }
}
