/* The queue of what waits to be written: order, parts of pieces, descriptions for the kernel, owners, memory. */

#include "cases.h"
#include "write_queue.h"

#include <sys/uio.h>

#define MANY 5000u

static char bytes[MANY * 3];
static unsigned released[MANY]; /* how often each owner was; owners are pointers to these */

static void release(void *owner) { ++*(unsigned *)owner; }

static void fill(void) {
  for (size_t i = 0; i < sizeof(bytes); i++)
    bytes[i] = (char)(i * 7 + i / 251);
}

static void push(struct write_queue *queue, size_t start, size_t size, size_t owner) {
  CHECK(write_queue_push(queue, bytes + start, size, &released[owner]) == 0);
}

/* The first bytes of the queue are those from this place on. */
static void expect(const struct write_queue *queue, size_t start) {
  struct iovec vector[64];
  size_t count = write_queue_describe(queue, vector, 64);

  CHECK(count == (queue->count < 64 ? queue->count : 64));
  for (size_t i = 0; i < count; i++) {
    CHECK(vector[i].iov_len > 0);
    CHECK(memcmp(vector[i].iov_base, bytes + start, vector[i].iov_len) == 0);
    start += vector[i].iov_len;
  }
}

static void test_an_empty_queue_has_nothing(void) {
  struct write_queue queue = {0};
  struct iovec vector[1];

  CHECK(write_queue_describe(&queue, vector, 1) == 0);
  write_queue_consume(&queue, 0, release);
  write_queue_clear(&queue, release);
  CHECK(queue.bytes == 0 && queue.count == 0 && queue.pieces == NULL);
}

static void test_pieces_leave_in_order(void) {
  struct write_queue queue = {0};

  fill();
  for (size_t i = 0; i < MANY; i++)
    push(&queue, i * 3, 3, i);
  CHECK(queue.bytes == sizeof(bytes) && queue.count == MANY);
  for (size_t i = 0; i < MANY; i++) {
    expect(&queue, i * 3);
    CHECK(released[i] == 0);
    write_queue_consume(&queue, 3, release);
    CHECK(released[i] == 1);
  }
  CHECK(queue.bytes == 0 && queue.count == 0);
  write_queue_clear(&queue, release);
}

static void test_a_part_of_a_piece_can_leave(void) {
  struct write_queue queue = {0};

  fill();
  push(&queue, 0, 10, 0);
  push(&queue, 10, 1, 1);
  push(&queue, 11, 100, 2);
  write_queue_consume(&queue, 4, release);
  expect(&queue, 4);
  CHECK(queue.bytes == 107 && queue.count == 3 && released[0] == 0);
  write_queue_consume(&queue, 8, release);
  expect(&queue, 12);
  CHECK(queue.bytes == 99 && queue.count == 1 && released[0] == 1 && released[1] == 1 && released[2] == 0);
  write_queue_clear(&queue, release);
  CHECK(released[0] == 1 && released[1] == 1 && released[2] == 1);
}

static void test_no_more_is_described_than_there_is_room(void) {
  struct write_queue queue = {0};
  struct iovec vector[3] = {0};

  for (size_t i = 0; i < 5; i++)
    push(&queue, i * 3, 3, i);
  CHECK(write_queue_describe(&queue, vector, 2) == 2);
  CHECK(vector[1].iov_base == bytes + 3 && vector[1].iov_len == 3 && vector[2].iov_base == NULL);
  write_queue_clear(&queue, release);
}

/* Bytes come and go in any amounts, and the ring is at all places of its memory. */
static void test_any_sequence_keeps_the_order(void) {
  struct write_queue queue = {0};
  size_t pushed = 0, consumed = 0, owners = 0;
  uint32_t random = 17;

  fill();
  while (consumed < sizeof(bytes)) {
    size_t size = next_random(&random) % 9 + 1;

    if (next_random(&random) % 5 < 3 && pushed + size <= sizeof(bytes) && owners < MANY) {
      push(&queue, pushed, size, owners++);
      pushed += size;
    } else {
      size = next_random(&random) % 30 < queue.bytes ? next_random(&random) % 30 : queue.bytes;
      size = size < queue.bytes ? size : queue.bytes;
      write_queue_consume(&queue, size, release);
      consumed += size;
    }
    CHECK(queue.bytes == pushed - consumed);
    expect(&queue, consumed);
    if (owners == MANY && queue.bytes == 0)
      break;
  }
  CHECK(queue.count == 0);
  for (size_t i = 0; i < owners; i++)
    CHECK(released[i] == 1);
  write_queue_clear(&queue, release);
}

static void test_memory_of_many_is_given_back(void) {
  struct write_queue queue = {0};

  for (size_t i = 0; i < MANY; i++)
    push(&queue, i * 3, 3, i);
  CHECK(queue.capacity >= MANY);
  write_queue_consume(&queue, queue.bytes, release);
  CHECK(queue.capacity == 0 && queue.pieces == NULL);
  push(&queue, 0, 3, 0);
  write_queue_clear(&queue, release);
  CHECK(queue.pieces == NULL);
}

static void test_sizes_that_cannot_be_added_are_refused(void) {
  struct write_queue queue = {0};

  push(&queue, 0, SIZE_MAX - 5, 0);
  CHECK(write_queue_push(&queue, bytes, 6, &released[1]) == -1);
  CHECK(queue.count == 1 && released[1] == 0);
  write_queue_clear(&queue, release);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"empty", test_an_empty_queue_has_nothing},
      {"order", test_pieces_leave_in_order},
      {"parts", test_a_part_of_a_piece_can_leave},
      {"room", test_no_more_is_described_than_there_is_room},
      {"any_sequence", test_any_sequence_keeps_the_order},
      {"memory", test_memory_of_many_is_given_back},
      {"sizes", test_sizes_that_cannot_be_added_are_refused},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
