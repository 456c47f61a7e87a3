/* Sums over shape and strides, with an eye on overflow. */
#include "layout.h"

static bool is_empty(const struct fk_layout *layout) {
  for (int i = 0; i < layout->dimensions; i++) {
    if (layout->shape[i] == 0) {
      return true;
    }
  }
  return false;
}

int fk_layout_length(const struct fk_layout *layout, ssize_t *length) {
  ssize_t bytes = layout->itemsize;
  if (is_empty(layout)) {
    *length = 0;
    return 0;
  }
  for (int i = 0; i < layout->dimensions; i++) {
    if (__builtin_mul_overflow(bytes, layout->shape[i], &bytes)) {
      return -1;
    }
  }
  *length = bytes;
  return 0;
}

int fk_layout_pack(struct fk_layout *layout) {
  ssize_t stride = layout->itemsize;
  for (int i = layout->dimensions - 1; i >= 0; i--) {
    layout->strides[i] = stride;
    if (__builtin_mul_overflow(stride, layout->shape[i], &stride)) {
      return -1;
    }
  }
  return 0;
}

int fk_layout_span(const struct fk_layout *layout, ssize_t *lowest, ssize_t *end) {
  ssize_t low = 0;
  ssize_t high = layout->itemsize;
  if (is_empty(layout)) {
    *lowest = *end = 0;
    return 0;
  }
  for (int i = 0; i < layout->dimensions; i++) {
    ssize_t way;
    if (__builtin_mul_overflow(layout->shape[i] - 1, layout->strides[i], &way) ||
        (way < 0 ? __builtin_add_overflow(low, way, &low) : __builtin_add_overflow(high, way, &high))) {
      return -1;
    }
  }
  *lowest = low;
  *end = high;
  return 0;
}
