/* The bytes that wait to be written: a ring of pieces. */

#include "write_queue.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define MIN_CAPACITY 4u
#define KEEP_CAPACITY 16u /* up to here memory is kept when the queue is empty */

static struct piece *piece_at(const struct write_queue *queue, size_t place) {
  return &queue->pieces[(queue->head + place) & (queue->capacity - 1)];
}

static int grow(struct write_queue *queue) {
  size_t capacity = queue->capacity ? queue->capacity * 2 : MIN_CAPACITY;
  struct piece *pieces;

  if (capacity > SIZE_MAX / sizeof(*pieces) / 2 || (pieces = malloc(capacity * sizeof(*pieces))) == NULL)
    return -1;
  for (size_t i = 0; i < queue->count; i++)
    pieces[i] = *piece_at(queue, i);
  free(queue->pieces);
  queue->pieces = pieces;
  queue->capacity = capacity;
  queue->head = 0;
  return 0;
}

int write_queue_push(struct write_queue *queue, const char *start, size_t size, void *owner) {
  if (size > SIZE_MAX - queue->bytes || (queue->count == queue->capacity && grow(queue) < 0))
    return -1;
  *piece_at(queue, queue->count++) = (struct piece){start, size, owner};
  queue->bytes += size;
  return 0;
}

size_t write_queue_describe(const struct write_queue *queue, struct iovec *vector, size_t room) {
  size_t count = queue->count < room ? queue->count : room;

  for (size_t i = 0; i < count; i++) {
    const struct piece *piece = piece_at(queue, i);
    vector[i].iov_base = (void *)(uintptr_t)piece->start; /* only read */
    vector[i].iov_len = piece->size;
  }
  return count;
}

/* Frees memory that only a burst needed. */
static void trim(struct write_queue *queue) {
  if (queue->count == 0 && queue->capacity > KEEP_CAPACITY) {
    free(queue->pieces);
    memset(queue, 0, sizeof(*queue));
  }
}

void write_queue_consume(struct write_queue *queue, size_t bytes, write_queue_release release) {
  queue->bytes -= bytes;
  while (bytes > 0) {
    struct piece *piece = piece_at(queue, 0);

    if (bytes < piece->size) {
      piece->start += bytes;
      piece->size -= bytes;
      break;
    }
    bytes -= piece->size;
    release(piece->owner);
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    queue->count--;
  }
  trim(queue);
}

void write_queue_clear(struct write_queue *queue, write_queue_release release) {
  for (size_t i = 0; i < queue->count; i++)
    release(piece_at(queue, i)->owner);
  free(queue->pieces);
  memset(queue, 0, sizeof(*queue));
}
