/* The ring of ready handles: how it grows and shrinks. */

#include "ready.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define READY_KEEP_CAPACITY 4096u /* up to here memory is kept for the next burst */

int ready_grow(struct ready_ring *ring) {
  size_t capacity = ring->capacity ? ring->capacity * 2 : READY_MIN_CAPACITY;
  size_t first;
  void **slots;

  if (capacity > SIZE_MAX / sizeof(void *) / 2)
    return -1;
  slots = malloc(capacity * sizeof(void *));
  if (slots == NULL)
    return -1;
  if (ring->count) {
    first = ring->capacity - ring->head; /* items up to the end of the memory, the others wrapped around */
    if (first > ring->count)
      first = ring->count;
    memcpy(slots, ring->slots + ring->head, first * sizeof(void *));
    memcpy(slots + first, ring->slots, (ring->count - first) * sizeof(void *));
  }
  free(ring->slots);
  ring->slots = slots;
  ring->capacity = capacity;
  ring->head = 0;
  return 0;
}

void ready_trim(struct ready_ring *ring) {
  if (ring->count == 0 && ring->capacity > READY_KEEP_CAPACITY)
    ready_free(ring);
}

void ready_free(struct ready_ring *ring) {
  free(ring->slots);
  memset(ring, 0, sizeof(*ring));
}
