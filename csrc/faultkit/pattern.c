/* The deterministic byte pattern: see pattern.h for its definition. */
#include "pattern.h"

#include <endian.h>
#include <string.h>

#define WORD sizeof(uint64_t)
#define BLOCK 4096
#define NEEDLE 64

static const uint64_t seed_step = UINT64_C(0x9fb21c651e98df25);
static const uint64_t index_step = UINT64_C(0xd1342543de82ef95);
static const uint64_t scramble = UINT64_C(0xa0761d6478bd642f);

static inline uint64_t fold(uint64_t left, uint64_t right) {
#ifdef __SIZEOF_INT128__
  __extension__ typedef unsigned __int128 wide;
  wide product = (wide)left * right;
  return (uint64_t)(product >> 64) ^ (uint64_t)product;
#else
  uint64_t low = (left & UINT32_MAX) * (right & UINT32_MAX);
  uint64_t middle = (left >> 32) * (right & UINT32_MAX) + (low >> 32);
  uint64_t carry = (left & UINT32_MAX) * (right >> 32) + (middle & UINT32_MAX);
  uint64_t high = (left >> 32) * (right >> 32) + (middle >> 32) + (carry >> 32);
  return high ^ (left * right);
#endif
}

static inline uint64_t scrambled(uint64_t state) { return fold(state, state ^ scramble); }

static inline uint64_t state_at(uint64_t seed, uint64_t index) { return (seed + 1) * seed_step + index * index_step; }

uint64_t fk_pattern_word(uint64_t seed, uint64_t index) { return scrambled(state_at(seed, index)); }

/* Write the part of one word that begins at byte `skip` of it; return how many bytes that were. */
static size_t fill_part(uint8_t *target, size_t size, uint64_t seed, uint64_t index, size_t skip) {
  uint64_t word = htole64(fk_pattern_word(seed, index));
  size_t part = WORD - skip < size ? WORD - skip : size;
  memcpy(target, (const uint8_t *)&word + skip, part);
  return part;
}

void fk_pattern_fill(uint8_t *target, size_t size, uint64_t seed, uint64_t offset) {
  uint64_t index = offset / WORD;
  size_t skip = offset % WORD;
  if (size == 0) {
    return;
  }
  if (skip != 0) {
    size_t part = fill_part(target, size, seed, index++, skip);
    target += part;
    size -= part;
  }
  uint64_t state = state_at(seed, index);
  for (; size >= WORD; size -= WORD, target += WORD, state += index_step, index++) {
    uint64_t word = htole64(scrambled(state));
    memcpy(target, &word, WORD);
  }
  if (size != 0) {
    fill_part(target, size, seed, index, 0);
  }
}

static size_t first_difference(const uint8_t *left, const uint8_t *right, size_t size) {
  size_t at = 0;
  while (at < size && left[at] == right[at]) {
    at++;
  }
  return at;
}

size_t fk_pattern_mismatch(const uint8_t *seen, size_t size, uint64_t seed, uint64_t offset) {
  uint8_t expected[BLOCK];
  for (size_t done = 0; done < size;) {
    size_t part = size - done < BLOCK ? size - done : BLOCK;
    fk_pattern_fill(expected, part, seed, offset + done);
    if (memcmp(seen + done, expected, part) != 0) {
      return done + first_difference(seen + done, expected, part);
    }
    done += part;
  }
  return size;
}

uint64_t fk_pattern_find(const uint8_t *bytes, size_t size, uint64_t seed, uint64_t limit) {
  uint8_t window[BLOCK + NEEDLE];
  if (size == 0 || size > NEEDLE) {
    return limit;
  }
  for (uint64_t start = 0; start < limit; start += BLOCK) {
    uint64_t left = limit - start;
    size_t starts = left < BLOCK ? (size_t)left : BLOCK;
    fk_pattern_fill(window, starts + size - 1, seed, start);
    const uint8_t *candidate = window;
    const uint8_t *end = window + starts;
    while (candidate < end && (candidate = memchr(candidate, bytes[0], (size_t)(end - candidate))) != NULL) {
      if (memcmp(candidate, bytes, size) == 0) {
        return start + (uint64_t)(candidate - window);
      }
      candidate++;
    }
  }
  return limit;
}
