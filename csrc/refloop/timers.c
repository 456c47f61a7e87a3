/* The heap of timers: a heap of four children a node, in which each timer knows its place. */

#include "timers.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHILDREN 4u
#define MIN_CAPACITY 16u
#define KEEP_CAPACITY 1024u /* up to here memory is kept */

static bool earlier(const struct timer_entry *a, const struct timer_entry *b) {
  return a->when < b->when || (a->when == b->when && a->order < b->order);
}

static void put(struct timer_heap *heap, size_t place, struct timer_entry entry) {
  heap->entries[place] = entry;
  entry.timer->place = place;
}

/* Puts the entry at this free place or nearer to the root. */
static void rise(struct timer_heap *heap, size_t place, struct timer_entry entry) {
  while (place > 0) {
    size_t parent = (place - 1) / CHILDREN;
    if (!earlier(&entry, &heap->entries[parent]))
      break;
    put(heap, place, heap->entries[parent]);
    place = parent;
  }
  put(heap, place, entry);
}

/* Puts the entry at this free place or further from the root. */
static void sink(struct timer_heap *heap, size_t place, struct timer_entry entry) {
  for (;;) {
    size_t child = place * CHILDREN + 1;
    size_t end = child + CHILDREN < heap->count ? child + CHILDREN : heap->count;
    size_t least = child;

    if (child >= heap->count)
      break;
    for (child++; child < end; child++) {
      if (earlier(&heap->entries[child], &heap->entries[least]))
        least = child;
    }
    if (!earlier(&heap->entries[least], &entry))
      break;
    put(heap, place, heap->entries[least]);
    place = least;
  }
  put(heap, place, entry);
}

static int resize(struct timer_heap *heap, size_t capacity) {
  struct timer_entry *entries;

  if (capacity > SIZE_MAX / sizeof(*entries))
    return -1;
  entries = realloc(heap->entries, capacity * sizeof(*entries));
  if (entries == NULL)
    return -1;
  heap->entries = entries;
  heap->capacity = capacity;
  return 0;
}

int timer_heap_add(struct timer_heap *heap, struct timer *timer) {
  struct timer_entry entry = {timer->when, heap->order, timer};

  if (heap->count == heap->capacity && resize(heap, heap->capacity ? heap->capacity * 2 : MIN_CAPACITY) < 0)
    return -1;
  if (isnan(entry.when))
    entry.when = -INFINITY;
  heap->order++;
  rise(heap, heap->count++, entry);
  return 0;
}

void timer_heap_remove(struct timer_heap *heap, struct timer *timer) {
  size_t place = timer->place;
  struct timer_entry last = heap->entries[--heap->count];

  timer->place = TIMER_IDLE;
  if (last.timer != timer) {
    if (place > 0 && earlier(&last, &heap->entries[(place - 1) / CHILDREN]))
      rise(heap, place, last);
    else
      sink(heap, place, last);
  }
  if (heap->capacity > KEEP_CAPACITY && heap->count < heap->capacity / 4)
    (void)resize(heap, heap->capacity / 2); /* if that fails, the memory simply stays */
}

void timer_heap_free(struct timer_heap *heap) {
  free(heap->entries);
  memset(heap, 0, sizeof(*heap));
}
