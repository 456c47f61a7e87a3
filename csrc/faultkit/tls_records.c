/* Records that wait to go out. */
#include "tls_records.h"

#include <stdlib.h>
#include <string.h>

bool fk_tls_records_add(struct fk_tls_records *records, const uint8_t *data, size_t size) {
  if (size > FK_TLS_MOST_WAITING - records->size) {
    return false;
  }
  if (records->count == records->room) {
    size_t room = records->room == 0 ? 8 : 2 * records->room;
    struct fk_bytes *items = realloc(records->items, room * sizeof *items);
    if (items == NULL) {
      return false;
    }
    records->items = items;
    records->room = room;
  }
  uint8_t *copy = malloc(size + 1);
  if (copy == NULL) {
    return false;
  }
  if (size > 0) {
    memcpy(copy, data, size);
  }
  records->items[records->count++] = (struct fk_bytes){copy, size};
  records->size += size;
  return true;
}

bool fk_tls_records_arrange(struct fk_tls_records *records, const size_t *order, size_t count) {
  struct fk_tls_records arranged = {0};
  for (size_t i = 0; i < count; i++) {
    const struct fk_bytes *item = order[i] < records->count ? &records->items[order[i]] : NULL;
    if (item == NULL || !fk_tls_records_add(&arranged, item->data, item->size)) {
      fk_tls_records_clear(&arranged);
      return false;
    }
  }
  fk_tls_records_clear(records);
  *records = arranged;
  return true;
}

void fk_tls_records_cut(struct fk_tls_records *records, size_t number, size_t size) {
  records->size -= records->items[number].size - size;
  records->items[number].size = size;
}

bool fk_tls_records_take(struct fk_tls_records *records, struct fk_bytes *joined) {
  uint8_t *all = malloc(records->size + 1);
  if (all == NULL) {
    return false;
  }
  *joined = (struct fk_bytes){all, records->size};
  for (size_t i = 0; i < records->count; i++) {
    memcpy(all, records->items[i].data, records->items[i].size);
    all += records->items[i].size;
  }
  fk_tls_records_clear(records);
  return true;
}

void fk_tls_records_clear(struct fk_tls_records *records) {
  for (size_t i = 0; i < records->count; i++) {
    free(records->items[i].data);
  }
  free(records->items);
  *records = (struct fk_tls_records){0};
}
