/* How the items of a buffer lie in memory: shape and strides, and what they come to. */
#ifndef LOOPPROOF_FAULTKIT_LAYOUT_H
#define LOOPPROOF_FAULTKIT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As many as CPython's PyBUF_MAX_NDIM. */
#define FK_MOST_DIMENSIONS 64

struct fk_layout {
  ssize_t itemsize; /* bytes of an item, at least 1 */
  int dimensions;
  ssize_t shape[FK_MOST_DIMENSIONS];   /* items along each dimension, not negative */
  ssize_t strides[FK_MOST_DIMENSIONS]; /* bytes from one item to the next, of either sign */
};

/* Lay the items out without gaps, in the order of C. Returns 0, or -1 if the bytes of all items are more than a ssize_t
 * counts. */
int fk_layout_pack(struct fk_layout *layout);

/* Bytes of all items together, whatever lies between them. Returns 0, or -1 if they are more than a ssize_t counts. */
int fk_layout_length(const struct fk_layout *layout, ssize_t *length);

/* The span of memory of all items, [lowest, end) in bytes from the first one; both are 0 if there is none. Returns 0,
 * or -1 if it is more than a ssize_t counts. */
int fk_layout_span(const struct fk_layout *layout, ssize_t *lowest, ssize_t *end);

#endif
