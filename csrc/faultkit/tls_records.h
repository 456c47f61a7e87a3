/* Records that wait to go out: bytes in order, to be cut, corrupted, reordered, repeated and dropped. */
#ifndef LOOPPROOF_FAULTKIT_TLS_RECORDS_H
#define LOOPPROOF_FAULTKIT_TLS_RECORDS_H

#include "script.h"

/* Most bytes that wait: what a script corks has an end. */
#define FK_TLS_MOST_WAITING ((size_t)64 * 1024 * 1024)

/* Zeroed: none. */
struct fk_tls_records {
  struct fk_bytes *items;
  size_t count;
  size_t room;
  size_t size; /* of all together, in bytes */
};

/* Append a copy. Returns whether it fits and there is memory. */
bool fk_tls_records_add(struct fk_tls_records *records, const uint8_t *data, size_t size);

/* Make it the records of these numbers, in this order; a number may come again or not at all. Returns false, with
 * everything as before, if a number is too high or that gets too large. */
bool fk_tls_records_arrange(struct fk_tls_records *records, const size_t *order, size_t count);

/* Leave the first `size` bytes, at most all, of the record of that number. */
void fk_tls_records_cut(struct fk_tls_records *records, size_t number, size_t size);

/* All in one piece, which the caller frees; afterwards none wait. Returns whether there is memory. */
bool fk_tls_records_take(struct fk_tls_records *records, struct fk_bytes *joined);

void fk_tls_records_clear(struct fk_tls_records *records);

#endif
