/* The ring of ready handles: order, growing in every position, giving memory back. */

#include "cases.h"
#include "ready.h"

#define MANY 20000u

static int items[MANY]; /* what the rings hold are pointers to these; their values do not matter */

static void push(struct ready_ring *ring, size_t item) { CHECK(ready_push(ring, &items[item]) == 0); }

static void expect(struct ready_ring *ring, size_t item) { CHECK(ready_pop(ring) == &items[item]); }

static void test_an_empty_ring_has_no_item(void) {
  struct ready_ring ring = {0};

  CHECK(ready_pop(&ring) == NULL);
  CHECK(ring.count == 0);
  ready_free(&ring);
}

static void test_items_leave_in_the_order_they_came(void) {
  struct ready_ring ring = {0};

  for (size_t i = 0; i < MANY; i++)
    push(&ring, i);
  CHECK(ring.count == MANY);
  for (size_t i = 0; i < MANY; i++)
    expect(&ring, i);
  CHECK(ready_pop(&ring) == NULL);
  ready_free(&ring);
}

/* The ring grows when it is full with its oldest item at each possible place of the memory. */
static void test_growing_keeps_the_order_wherever_the_oldest_is(void) {
  for (size_t head = 0; head < READY_MIN_CAPACITY; head++) {
    struct ready_ring ring = {0};

    for (size_t i = 0; i < head; i++) {
      push(&ring, MANY - 1);
      expect(&ring, MANY - 1);
    }
    for (size_t i = 0; i <= READY_MIN_CAPACITY; i++)
      push(&ring, i);
    CHECK(ring.capacity == 2 * READY_MIN_CAPACITY);
    for (size_t i = 0; i <= READY_MIN_CAPACITY; i++)
      CHECK(ready_at(&ring, i) == &items[i]);
    for (size_t i = 0; i <= READY_MIN_CAPACITY; i++)
      expect(&ring, i);
    ready_free(&ring);
  }
}

static void test_any_sequence_is_first_in_first_out(void) {
  struct ready_ring ring = {0};
  size_t in = 0, out = 0;
  uint32_t random = 7;

  while (out < MANY) {
    if (in < MANY && next_random(&random) % 16 < 9)
      push(&ring, in++);
    else if (out < in)
      expect(&ring, out++);
    CHECK(ring.count == in - out);
    CHECK(in == out || ready_at(&ring, 0) == &items[out]);
    CHECK(in == out || ready_at(&ring, ring.count - 1) == &items[in - 1]);
  }
  ready_free(&ring);
}

static void test_memory_of_a_burst_is_given_back(void) {
  struct ready_ring ring = {0};

  for (size_t i = 0; i < MANY; i++)
    push(&ring, i);
  ready_trim(&ring);
  CHECK(ring.count == MANY); /* not while it is needed */
  for (size_t i = 0; i < MANY; i++)
    expect(&ring, i);
  ready_trim(&ring);
  CHECK(ring.capacity == 0);
  push(&ring, 3);
  ready_trim(&ring);
  expect(&ring, 3);
  ready_trim(&ring);
  CHECK(ring.capacity == READY_MIN_CAPACITY); /* a little is kept */
  ready_free(&ring);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"empty", test_an_empty_ring_has_no_item},
      {"order", test_items_leave_in_the_order_they_came},
      {"growing", test_growing_keeps_the_order_wherever_the_oldest_is},
      {"any_sequence", test_any_sequence_is_first_in_first_out},
      {"memory", test_memory_of_a_burst_is_given_back},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
