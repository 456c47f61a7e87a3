/* The bytes that wait to be written: pieces of memory in order, each kept alive by its owner. Needs no Python. */

#ifndef REFLOOP_WRITE_QUEUE_H
#define REFLOOP_WRITE_QUEUE_H

#include <stddef.h>

struct iovec;

/* Releases the owner of a piece; must not use the queue. */
typedef void (*write_queue_release)(void *owner);

struct piece {
  const char *start;
  size_t size; /* never 0 */
  void *owner;
};

/* All zero is an empty queue. */
struct write_queue {
  struct piece *pieces; /* a ring */
  size_t capacity;      /* 0 or a power of two */
  size_t head;          /* index of the oldest piece */
  size_t count;
  size_t bytes; /* in all pieces */
};

/* Appends a piece that is not empty, and takes over the owner. Returns 0, or -1 without memory. */
int write_queue_push(struct write_queue *queue, const char *start, size_t size, void *owner);

/* Describes the oldest pieces, as many as there is room for. Returns how many they are. */
size_t write_queue_describe(const struct write_queue *queue, struct iovec *vector, size_t room);

/* Takes away the oldest bytes, which were written; there are that many. */
void write_queue_consume(struct write_queue *queue, size_t bytes, write_queue_release release);

/* Takes away all, and frees the memory. */
void write_queue_clear(struct write_queue *queue, write_queue_release release);

#endif
