/* Which allocations fail: they are counted, chosen and noted. */
#include "allocations.h"

#include <pthread.h>

void fk_allocations_begin(struct fk_allocations *allocations, uint64_t first, uint64_t count,
                          const unsigned long *thread) {
  fk_allocations_end(allocations);
  for (size_t i = 0; i < fk_allocations_noted(allocations); i++) {
    atomic_store_explicit(&allocations->failures[i].index, 0, memory_order_relaxed);
  }
  allocations->first = first;
  allocations->count = count;
  allocations->thread = thread == NULL ? 0 : *thread;
  allocations->every_thread = thread == NULL;
  atomic_store_explicit(&allocations->seen, 0, memory_order_relaxed);
  atomic_store_explicit(&allocations->failed, 0, memory_order_relaxed);
  atomic_store_explicit(&allocations->active, true, memory_order_release);
}

void fk_allocations_end(struct fk_allocations *allocations) {
  atomic_store_explicit(&allocations->active, false, memory_order_release);
}

static void note(struct fk_failure *failure, uint64_t index, enum fk_domain domain, enum fk_operation operation,
                 size_t size) {
  failure->domain = domain;
  failure->operation = operation;
  failure->size = size;
  failure->thread = (unsigned long)pthread_self();
  atomic_store_explicit(&failure->index, index, memory_order_release);
}

bool fk_allocation_fails(struct fk_allocations *allocations, enum fk_domain domain, enum fk_operation operation,
                         size_t size) {
  if (!atomic_load_explicit(&allocations->active, memory_order_acquire) ||
      (!allocations->every_thread && allocations->thread != (unsigned long)pthread_self())) {
    return false;
  }
  uint64_t index = atomic_fetch_add_explicit(&allocations->seen, 1, memory_order_relaxed) + 1;
  if (allocations->first == 0 || index < allocations->first || index - allocations->first >= allocations->count) {
    return false;
  }
  uint64_t place = atomic_fetch_add_explicit(&allocations->failed, 1, memory_order_relaxed);
  if (place < FK_NOTED_FAILURES) {
    note(&allocations->failures[place], index, domain, operation, size);
  }
  return true;
}

size_t fk_allocations_noted(struct fk_allocations *allocations) {
  uint64_t failed = atomic_load_explicit(&allocations->failed, memory_order_relaxed);
  return failed < FK_NOTED_FAILURES ? (size_t)failed : FK_NOTED_FAILURES;
}
