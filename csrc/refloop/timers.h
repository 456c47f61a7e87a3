/* The heap of timers, ordered by deadline, and by registration where deadlines are equal. Needs no
 * Python. */

#ifndef REFLOOP_TIMERS_H
#define REFLOOP_TIMERS_H

#include <stddef.h>
#include <stdint.h>

#define TIMER_IDLE SIZE_MAX /* the place of a timer that is in no heap */

/* A timer, to be embedded in what it belongs to; place is the heap's. */
struct timer {
  double when;
  size_t place;
};

struct timer_entry {
  double when; /* a copy, so that ordering does not follow pointers */
  uint64_t order;
  struct timer *timer;
};

/* All zero is an empty heap. */
struct timer_heap {
  struct timer_entry *entries;
  size_t count;
  size_t capacity;
  uint64_t order;
};

/* Takes up a timer that is in no heap; one whose deadline is not a number is due at once.
   Returns 0, or -1 without memory. */
int timer_heap_add(struct timer_heap *heap, struct timer *timer);

/* Takes a timer out that is in this heap. */
void timer_heap_remove(struct timer_heap *heap, struct timer *timer);

/* Frees the memory of the heap, which has to be empty. */
void timer_heap_free(struct timer_heap *heap);

/* The timer with the earliest deadline, NULL if there is none. */
static inline struct timer *timer_heap_first(const struct timer_heap *heap) {
  return heap->count ? heap->entries[0].timer : NULL;
}

#endif
