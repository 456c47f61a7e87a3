/* Which allocations fail: they are counted, chosen and noted. No Python in here, no lock, and no allocation. */
#ifndef LOOPPROOF_FAULTKIT_ALLOCATIONS_H
#define LOOPPROOF_FAULTKIT_ALLOCATIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many failures are noted, the first ones. */
#define FK_NOTED_FAILURES 4096

enum fk_domain { FK_RAW, FK_MEM, FK_OBJECT, FK_DOMAINS };

enum fk_operation { FK_MALLOC, FK_CALLOC, FK_REALLOC };

struct fk_failure {
  _Atomic uint64_t index; /* which allocation of those that count, from 1; 0 while the rest is not there yet */
  enum fk_domain domain;
  enum fk_operation operation;
  size_t size;          /* bytes that were wanted */
  unsigned long thread; /* pthread_self() */
};

/* What is to fail, and what did. All zero is inactive. */
struct fk_allocations {
  uint64_t first; /* the first allocation that fails, from 1; 0: none does */
  uint64_t count; /* how many fail from there on */
  unsigned long thread;
  bool every_thread;
  atomic_bool active;
  _Atomic uint64_t seen;
  _Atomic uint64_t failed;
  struct fk_failure failures[FK_NOTED_FAILURES];
};

/* Begin to count, from 1; `thread`: the only one whose allocations count, NULL for all. One that is active is ended
 * before. */
void fk_allocations_begin(struct fk_allocations *allocations, uint64_t first, uint64_t count,
                          const unsigned long *thread);

/* Count and fail nothing any more; what was seen and noted stays. */
void fk_allocations_end(struct fk_allocations *allocations);

/* Count an allocation; tells whether it is to fail. Any thread. */
bool fk_allocation_fails(struct fk_allocations *allocations, enum fk_domain domain, enum fk_operation operation,
                         size_t size);

/* How many failures are noted. */
size_t fk_allocations_noted(struct fk_allocations *allocations);

#endif
