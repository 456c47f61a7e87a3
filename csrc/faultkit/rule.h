/* Rules of the injector: which system calls they are about, and what is done with them. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_RULE_H
#define LOOPPROOF_FAULTKIT_RULE_H

#include "calls.h"

#include <stdatomic.h>
#include <sys/types.h>

/* Whose call it is, seen from the thread that the filter was bound to. */
#define FK_WHERES(X)                                                                                                   \
  X(thread)  /* that thread's */                                                                                       \
  X(threads) /* of another thread of this process: one that it started */                                              \
  X(children)

/* What a descriptor is open on. The sockets come first. */
#define FK_TARGETS(X)                                                                                                  \
  X(tcp, "tcp")                                                                                                        \
  X(udp, "udp")                                                                                                        \
  X(unix_stream, "unix")                                                                                               \
  X(unix_datagram, "unix-datagram")                                                                                    \
  X(socket, "socket") /* of another family, or a child's, which cannot be asked */                                     \
  X(pipe, "pipe")                                                                                                      \
  X(file, "file")                                                                                                      \
  X(device, "device")                                                                                                  \
  X(eventfd, "eventfd")                                                                                                \
  X(epoll, "epoll")                                                                                                    \
  X(timerfd, "timerfd")                                                                                                \
  X(signalfd, "signalfd")                                                                                              \
  X(pidfd, "pidfd")                                                                                                    \
  X(io_uring, "io_uring")                                                                                              \
  X(other, "other")                                                                                                    \
  X(closed, "closed") /* the number is not open */

/* What is done with a call. */
#define FK_ACTIONS(X)                                                                                                  \
  X(allow)                                                                                                             \
  X(fail)                                                                                                              \
  X(short)                                                                                                             \
  X(delay)

enum fk_where {
#define FK_WHERE(name) FK_WHERE_##name,
  FK_WHERES(FK_WHERE)
#undef FK_WHERE
      FK_WHERE_COUNT
};

enum fk_target {
#define FK_TARGET(name, text) FK_TARGET_##name,
  FK_TARGETS(FK_TARGET)
#undef FK_TARGET
      FK_TARGET_none, /* the call works on no descriptor */
  FK_TARGET_COUNT
};

enum fk_action {
#define FK_ACTION(name) FK_ACTION_##name,
  FK_ACTIONS(FK_ACTION)
#undef FK_ACTION
      FK_ACTION_COUNT
};

struct fk_rule {
  struct fk_call_set calls;
  unsigned wheres;  /* bits by enum fk_where */
  unsigned targets; /* bits by enum fk_target; 0: any, also none */
  enum fk_action action;
  int error;                /* fail: the error number */
  uint64_t size;            /* short: how many bytes are moved at most */
  int64_t delay;            /* delay: nanoseconds */
  uint64_t nth;             /* the first match that is chosen, from 1 */
  uint64_t count;           /* how many are chosen at most */
  double probability;       /* with which a match is chosen */
  _Atomic(uint64_t) seen;   /* matches so far */
  _Atomic(uint64_t) chosen; /* of them, those that it was applied to */
};

/* What a rule is compared with. */
struct fk_sighting {
  size_t call;
  enum fk_where where;
  enum fk_target target;
  uint64_t size; /* of the transfer in bytes; 0: none, or not to be told */
};

/* Choose the rule for a call: the first that fits, whose turn it is and that can be applied (what moves no more than a
 * short transfer would, or is no stream, cannot be cut). Every rule that fits counts the call. Whether a match is drawn
 * depends on the seed, the rule and the number of the match alone. Returns the index of the rule; `count` if there is
 * none. */
size_t fk_rules_choose(struct fk_rule *rules, size_t count, const struct fk_sighting *sighting, uint64_t seed);

const char *fk_where_name(enum fk_where where);
const char *fk_target_name(enum fk_target target); /* none: "" */
const char *fk_action_name(enum fk_action action);

/* Find out what a descriptor of this process is open on. */
enum fk_target fk_target_of(int descriptor);

/* The same for a task of another process. */
enum fk_target fk_target_in(pid_t task, int descriptor);

#endif
