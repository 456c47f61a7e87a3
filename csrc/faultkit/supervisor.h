/* The supervisor: a thread that answers the system calls of a filtered thread, its threads and children. No Python in
 * here.
 *
 * It shares the descriptors and memory of the thread, so it can do part of a transfer in its place, and it lives as
 * long as anything is under the filter: when nobody listens, the kernel fails matched calls with ENOSYS. While a call
 * waits for its answer, its thread may hold any lock of the C library (fork() holds the allocator's), so nothing that
 * the supervisor does for an answer takes a lock or allocates; and it never waits for anything but calls. */
#ifndef LOOPPROOF_FAULTKIT_SUPERVISOR_H
#define LOOPPROOF_FAULTKIT_SUPERVISOR_H

#include "trace.h"

#include <pthread.h>

enum fk_supervisor_state {
  FK_SUPERVISOR_NEW,
  FK_SUPERVISOR_BOUND,
  FK_SUPERVISOR_ENDED, /* nothing is under the filter any more, or it never came to be */
};

struct fk_supervisor {
  /* Set before the thread starts and not changed after. */
  struct fk_rule *rules;
  size_t count;
  uint64_t seed;
  pid_t process;
  pid_t task; /* the filtered thread; 0: none came to be */
  /* Shared. */
  struct fk_trace trace;
  atomic_bool open; /* while false, every call is let through */
  atomic_int references;
  atomic_int listener;  /* -1: none (any more) */
  pthread_mutex_t lock; /* guards the state */
  pthread_cond_t changed;
  enum fk_supervisor_state state;
  pid_t own;                  /* the supervisor's thread */
  struct fk_supervisor *next; /* in the list of those whose listeners a fork would inherit */
  /* The thread's alone. */
  uint64_t seen[FK_CALLS_LIMIT][FK_WHERE_COUNT][FK_TARGET_COUNT];
};

/* Make a supervisor that has no thread yet; it takes over the rules, which were allocated with malloc(), in any case.
 * The caller owns the reference that is returned. Returns NULL and sets errno on failure. */
struct fk_supervisor *fk_supervisor_new(struct fk_rule *rules, size_t count, uint64_t seed);

/* Bind the filter to the calling thread, for good, and start to answer. Only once. Returns 0, or an error number as
 * fk_filter_probe does, and EOPNOTSUPP if a rule asks for what needs a newer kernel. */
int fk_supervisor_bind(struct fk_supervisor *supervisor);

/* Let every call through from now on, those that are delayed as well. */
void fk_supervisor_close(struct fk_supervisor *supervisor);

/* Wait until nothing is under the filter any more, at most until `limit`, and then, however long that takes, until the
 * listener is closed and the filtered thread and the supervisor's are gone. Tells whether it is so. */
bool fk_supervisor_wait(struct fk_supervisor *supervisor, int64_t limit);

/* Give back a reference; the last one frees. */
void fk_supervisor_release(struct fk_supervisor *supervisor);

/* Put it on a list, with a reference of its own; those that have ended leave the list. */
void fk_supervisor_enlist(struct fk_supervisor **list, struct fk_supervisor *supervisor);

/* Give back the references of the list and empty it. */
void fk_supervisors_release(struct fk_supervisor **list);

/* In a forked child: close the listeners of the list. Whoever holds its own listener would wait for itself once the
 * parent is gone. */
void fk_supervisors_forked(struct fk_supervisor *const *list);

#endif
