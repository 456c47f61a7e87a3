/* The descriptors that the loop watches, and its sleep until one of them is ready: the one place that knows what the
   kernel offers for that (epoll). Needs no Python. */

#ifndef REFLOOP_POLL_H
#define REFLOOP_POLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct epoll_event;

enum poll_direction { POLL_READ, POLL_WRITE };

/* What is known of one descriptor. Who is to be told is known to the owner of the table alone. */
struct poll_entry {
  void *callees[2];    /* who is told when it is readable, when it is writable; or NULL */
  void *claimant;      /* who has the descriptor for itself, or NULL */
  uint32_t generation; /* of the kernel's registration, 0 if there is none */
  bool left;           /* the kernel watches for reading though nobody is to be told */
};

struct poll {
  int set;                   /* of epoll; -1 if it is not open */
  int waker;                 /* an eventfd in the set */
  struct poll_entry *table;  /* by descriptor */
  int size;                  /* of the table */
  int count;                 /* registrations */
  uint32_t generation;       /* of the latest registration */
  struct epoll_event *found; /* by poll_wait() */
  int found_capacity;
  int found_count;
  bool coarse; /* the kernel waits for whole milliseconds only */
};

/* Makes it one that is not open. */
void poll_init(struct poll *poll);

/* All of these that return an int return 0, or -1 with errno, unless they say something else. */

int poll_open(struct poll *poll);

/* Frees all; the callees are not touched. */
void poll_close(struct poll *poll);

/* Has a callee told when the descriptor is ready. Those that are not watched any more by this are put in displaced[]:
   the one that there was, and, if the descriptor was closed behind our back and is another one now, or none, also that
   of the other direction. They may be there after an error, too. */
int poll_add(struct poll *poll, int fd, enum poll_direction direction, void *callee, void *displaced[2]);

/* Takes a callee away. Returns false if it was not there. */
bool poll_remove(struct poll *poll, int fd, enum poll_direction direction, void *callee);

/* The same for one who is to be told when the descriptor is readable, and is likely to come back soon: the kernel goes
   on watching until then, or until it finds the descriptor ready and there is nobody to be told. */
bool poll_leave(struct poll *poll, int fd, void *callee);

/* The callee of a descriptor, which may be any number; or NULL. */
static inline void *poll_callee(const struct poll *poll, int fd, enum poll_direction direction) {
  return fd >= 0 && fd < poll->size ? poll->table[fd].callees[direction] : NULL;
}

/* Notes who has a descriptor for itself, instead of whom there was. */
int poll_claim(struct poll *poll, int fd, void *claimant);

/* Undoes that, unless another one has claimed it since. */
void poll_disclaim(struct poll *poll, int fd, void *claimant);

/* Who has claimed a descriptor, which may be any number; or NULL. */
static inline void *poll_claimant(const struct poll *poll, int fd) {
  return fd >= 0 && fd < poll->size ? poll->table[fd].claimant : NULL;
}

/* To be called before poll_wait(): makes room for what that may find. */
void poll_prepare(struct poll *poll);

/* Waits until a descriptor is ready, or poll_wake() is called, so many nanoseconds at most; for ever if negative. The
   one function during which others may be called in other threads, one at a time. */
int poll_wait(struct poll *poll, int64_t timeout);

/* Gives out the callees of what the last poll_wait() found, each once. Stops with -1 when tell() returns that. */
int poll_take(struct poll *poll, int (*tell)(void *context, void *callee), void *context);

/* Ends poll_wait(), or the next one if none waits. Any thread. */
void poll_wake(struct poll *poll);

#endif
