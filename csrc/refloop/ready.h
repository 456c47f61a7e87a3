/* The ring of ready handles: a growing first-in first-out queue of pointers. Needs no Python. */

#ifndef REFLOOP_READY_H
#define REFLOOP_READY_H

#include <stddef.h>

#define READY_MIN_CAPACITY 64u

/* All zero is an empty ring. */
struct ready_ring {
  void **slots;
  size_t capacity; /* 0 or a power of two */
  size_t head;     /* index of the oldest item */
  size_t count;
};

/* Makes the ring twice as large. Returns 0, or -1 without memory (the ring is as it was). */
int ready_grow(struct ready_ring *ring);

/* Gives memory back that a burst needed; to be called now and then while the ring is empty. */
void ready_trim(struct ready_ring *ring);

/* Frees the memory of the ring; the items in it are not touched. */
void ready_free(struct ready_ring *ring);

/* Appends an item. Returns 0, or -1 without memory. */
static inline int ready_push(struct ready_ring *ring, void *item) {
  if (ring->count == ring->capacity && ready_grow(ring) < 0)
    return -1;
  ring->slots[(ring->head + ring->count) & (ring->capacity - 1)] = item;
  ring->count++;
  return 0;
}

/* Takes the oldest item, NULL if there is none. */
static inline void *ready_pop(struct ready_ring *ring) {
  void *item;
  if (ring->count == 0)
    return NULL;
  item = ring->slots[ring->head];
  ring->head = (ring->head + 1) & (ring->capacity - 1);
  ring->count--;
  return item;
}

/* The item at a place from the oldest, 0, to the newest, count - 1. */
static inline void *ready_at(const struct ready_ring *ring, size_t place) {
  return ring->slots[(ring->head + place) & (ring->capacity - 1)];
}

#endif
