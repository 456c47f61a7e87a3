/* The trace of the injector: every system call that it saw, and what it did. One thread writes, others read, nobody
 * waits. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_TRACE_H
#define LOOPPROOF_FAULTKIT_TRACE_H

#include "rule.h"

/* How many calls are kept; those after them are only counted. */
#define FK_TRACE_LIMIT ((size_t)1 << 20)

#define FK_NO_RULE UINT32_MAX

struct fk_event {
  int64_t time;    /* CLOCK_MONOTONIC, nanoseconds */
  uint64_t nth;    /* how many of this call, caller and descriptor's kind it makes, from 1 */
  uint64_t size;   /* of the transfer in bytes; 0: none, or not to be told */
  int64_t outcome; /* fail: the error number; short: bytes, or a negative error number; delay: nanoseconds */
  pid_t task;
  int descriptor;
  uint32_t rule; /* the index of the one that was chosen, or FK_NO_RULE */
  uint16_t call;
  uint8_t where;
  uint8_t target;
  uint8_t action; /* what was done, which is allow where the rule could not be followed */
};

struct fk_trace {
  struct fk_event *events;
  _Atomic(size_t) count;
  _Atomic(size_t) lost;
};

/* Reserve the memory, which takes none until it is written to. Returns 0, or -1 and sets errno. */
int fk_trace_reserve(struct fk_trace *trace);

/* Add an event; never allocates. */
void fk_trace_add(struct fk_trace *trace, const struct fk_event *event);

void fk_trace_release(struct fk_trace *trace);

#endif
