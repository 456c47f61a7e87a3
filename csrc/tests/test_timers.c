/* The heap of timers: order by deadline and registration, removal from everywhere, unusual numbers, memory. */

#include "cases.h"
#include "timers.h"

#include <math.h>

#define MANY 5000u

struct numbered {
  struct timer timer;
  uint64_t number; /* in the order of registration */
};

static void add(struct timer_heap *heap, struct numbered *timer, double when) {
  timer->timer.when = when;
  timer->timer.place = TIMER_IDLE;
  timer->number = heap->order;
  CHECK(timer_heap_add(heap, &timer->timer) == 0);
}

static struct numbered *take_first(struct timer_heap *heap) {
  struct timer *first = timer_heap_first(heap);

  CHECK(first != NULL);
  timer_heap_remove(heap, first);
  CHECK(first->place == TIMER_IDLE);
  return (struct numbered *)first;
}

/* Each timer knows its place, and none comes before the one above it. */
static void check_order(const struct timer_heap *heap) {
  for (size_t i = 0; i < heap->count; i++) {
    const struct timer_entry *entry = &heap->entries[i], *above = &heap->entries[i ? (i - 1) / 4 : 0];

    CHECK(entry->timer->place == i);
    CHECK(above->when < entry->when || (above->when == entry->when && above->order <= entry->order));
  }
}

/* Takes all timers: they come by deadline, and by registration where that is equal. Returns how many they were. */
static size_t drain(struct timer_heap *heap) {
  struct numbered *before = NULL;
  size_t count = 0;

  for (; heap->count > 0; count++) {
    struct numbered *next = take_first(heap);

    if (before != NULL) {
      CHECK(before->timer.when <= next->timer.when);
      CHECK(before->timer.when < next->timer.when || before->number < next->number);
    }
    before = next;
  }
  CHECK(timer_heap_first(heap) == NULL);
  return count;
}

static struct numbered *new_timers(void) {
  struct numbered *timers = calloc(MANY, sizeof(*timers));

  CHECK(timers != NULL);
  return timers;
}

static void test_timers_come_by_deadline(void) {
  struct timer_heap heap = {0};
  struct numbered *timers = new_timers();
  uint32_t random = 11;

  for (size_t i = 0; i < MANY; i++)
    add(&heap, &timers[i], next_random(&random) / 1e3);
  check_order(&heap);
  CHECK(drain(&heap) == MANY);
  timer_heap_free(&heap);
  free(timers);
}

static void test_equal_deadlines_come_by_registration(void) {
  struct timer_heap heap = {0};
  struct numbered *timers = new_timers();

  for (size_t i = 0; i < MANY; i++)
    add(&heap, &timers[i], (double)(i % 3));
  check_order(&heap);
  CHECK(drain(&heap) == MANY);
  timer_heap_free(&heap);
  free(timers);
}

/* Of a small heap each timer is removed once, at whatever place it is. */
static void test_any_place_can_be_removed(void) {
  enum { COUNT = 40 };
  struct numbered timers[COUNT];

  for (size_t gone = 0; gone < COUNT; gone++) {
    struct timer_heap heap = {0};
    uint32_t random = 1 + (uint32_t)gone;

    for (size_t i = 0; i < COUNT; i++)
      add(&heap, &timers[i], next_random(&random) % 10);
    timer_heap_remove(&heap, heap.entries[gone].timer);
    check_order(&heap);
    CHECK(drain(&heap) == COUNT - 1);
    timer_heap_free(&heap);
  }
}

static void test_any_sequence_keeps_the_order(void) {
  struct timer_heap heap = {0};
  struct numbered *timers = new_timers();
  size_t used = 0, removed = 0;
  uint32_t random = 5;

  while (used < MANY) {
    uint32_t what = next_random(&random) % 8;

    if (what < 5 || heap.count == 0) {
      add(&heap, &timers[used++], next_random(&random) % 100);
    } else if (what < 7) {
      timer_heap_remove(&heap, heap.entries[next_random(&random) % heap.count].timer);
      removed++;
    } else {
      double when = take_first(&heap)->timer.when;
      CHECK(heap.count == 0 || when <= heap.entries[0].when);
      removed++;
    }
    if (used % 64 == 0)
      check_order(&heap);
  }
  check_order(&heap);
  CHECK(drain(&heap) == MANY - removed);
  timer_heap_free(&heap);
  free(timers);
}

static void test_unusual_numbers_have_a_place(void) {
  static const double whens[] = {1.0, INFINITY, NAN, -INFINITY, -0.0, 0.0, NAN, -5.0};
  static const size_t expected[] = {2, 3, 6, 7, 4, 5, 0, 1}; /* what is no number is due first, as if endlessly late */
  struct numbered timers[sizeof(whens) / sizeof(*whens)];
  struct timer_heap heap = {0};

  for (size_t i = 0; i < sizeof(whens) / sizeof(*whens); i++)
    add(&heap, &timers[i], whens[i]);
  for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++)
    CHECK(take_first(&heap) == &timers[expected[i]]);
  timer_heap_free(&heap);
}

static void test_memory_of_many_is_given_back(void) {
  struct timer_heap heap = {0};
  struct numbered *timers = new_timers();
  size_t most;

  for (size_t i = 0; i < MANY; i++)
    add(&heap, &timers[i], (double)i);
  most = heap.capacity;
  CHECK(most >= MANY);
  CHECK(drain(&heap) == MANY);
  CHECK(heap.capacity < most / 2);
  timer_heap_free(&heap);
  CHECK(heap.entries == NULL && heap.capacity == 0);
  free(timers);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"deadlines", test_timers_come_by_deadline},    {"equal_deadlines", test_equal_deadlines_come_by_registration},
      {"removal", test_any_place_can_be_removed},     {"any_sequence", test_any_sequence_keeps_the_order},
      {"numbers", test_unusual_numbers_have_a_place}, {"memory", test_memory_of_many_is_given_back},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
