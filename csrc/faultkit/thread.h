/* Threads of the kit: how they start, and the clock that they wait by. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_THREAD_H
#define LOOPPROOF_FAULTKIT_THREAD_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define FK_SECOND INT64_C(1000000000)

/* The time of CLOCK_MONOTONIC in nanoseconds. */
int64_t fk_now(void);

struct timespec fk_timespec(int64_t time);

/* Initialise a condition variable that waits by CLOCK_MONOTONIC. Returns an error number. */
int fk_condition_initialise(pthread_cond_t *condition);

/* Start a thread with every signal blocked that is not a fault of its own. Returns an error number. */
int fk_thread_start(pthread_t *thread, void *(*function)(void *), void *argument);

/* Wait until the kernel has forgotten a thread that has ended: pthread_join() returns a little before, and whoever
 * lists threads must not see it. */
void fk_thread_await_disappearance(pid_t process, pid_t task);

#endif
