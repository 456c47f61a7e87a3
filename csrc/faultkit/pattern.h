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
 * So two blocks of 512 words (4 KiB) differ in all words by the same bits: each is made and checked from the one before
 * it as fast as memory is read. */
uint64_t fk_pattern_word(uint64_t seed, uint64_t index);

/* Write bytes [offset, offset + size) of the stream of `seed` to `target`. */
void fk_pattern_fill(uint8_t *target, size_t size, uint64_t seed, uint64_t offset);

/* Index into `seen` of the first byte that is not that of the stream from `offset` on; `size` if all are. */
size_t fk_pattern_mismatch(const uint8_t *seen, size_t size, uint64_t seed, uint64_t offset);

/* First offset from `start` on and below `limit` at which the stream of `seed` contains the `size` (at most 64) bytes;
 * `limit` if nowhere. */
uint64_t fk_pattern_find(const uint8_t *bytes, size_t size, uint64_t seed, uint64_t start, uint64_t limit);

#endif
