/* The deterministic byte pattern: any part of any stream, generated and verified without what comes before it. */
#ifndef LOOPPROOF_FAULTKIT_PATTERN_H
#define LOOPPROOF_FAULTKIT_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* Largest offset + size of a pattern. */
#define FK_PATTERN_LIMIT ((uint64_t)1 << 62)

/* Words in a block. */
#define FK_PATTERN_BLOCK 512

/* Word `index` of the stream of `seed`; the stream is its words in little-endian order:
 *
 *     word = scramble(index modulo 512) ^ scramble(index / 512 + 2**63)
 *     scramble(n):
 *       state = (seed + 1) * 0x9fb21c651e98df25 + n * 0xd1342543de82ef95         (modulo 2**64)
 *       product = state * (state ^ 0xa0761d6478bd642f)                           (128 bits)
 *       (product >> 64) ^ product                                                (lowest 64 bits)
 *
 * So the words of a block are those of any other with the same bits turned in each: once those of one are there, the
 * stream is made and checked as fast as memory is read. */
uint64_t fk_pattern_word(uint64_t seed, uint64_t index);

/* The stream of a seed, made ready. */
struct fk_stream {
  uint64_t seed;
  uint64_t words[FK_PATTERN_BLOCK]; /* the part that all blocks have in common, as it lies in memory */
};

void fk_stream_prepare(struct fk_stream *stream, uint64_t seed);

/* Write bytes [offset, offset + size) to `target`. */
void fk_stream_fill(const struct fk_stream *stream, uint8_t *target, size_t size, uint64_t offset);

/* Index into `seen` of the first byte that is not that of the stream from `offset` on; `size` if all are. */
size_t fk_stream_mismatch(const struct fk_stream *stream, const uint8_t *seen, size_t size, uint64_t offset);

/* What follows prepares the stream itself, for who needs it once. */

/* Write bytes [offset, offset + size) of the stream of `seed` to `target`. */
void fk_pattern_fill(uint8_t *target, size_t size, uint64_t seed, uint64_t offset);

/* Index into `seen` of the first byte that is not that of the stream from `offset` on; `size` if all are. */
size_t fk_pattern_mismatch(const uint8_t *seen, size_t size, uint64_t seed, uint64_t offset);

/* First offset from `start` on and below `limit` at which the stream of `seed` contains the `size` (at most 64) bytes;
 * `limit` if nowhere. */
uint64_t fk_pattern_find(const uint8_t *bytes, size_t size, uint64_t seed, uint64_t start, uint64_t limit);

#endif
