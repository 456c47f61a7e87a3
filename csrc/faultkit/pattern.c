/* The deterministic byte pattern: see pattern.h for its definition. */
#include "pattern.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define WORD sizeof(uint64_t)
#define BLOCK ((size_t)FK_PATTERN_BLOCK * WORD) /* bytes */
#define NEEDLE 64
#define LANES 2

/* Words that the compiler handles at once. */
typedef uint64_t lanes __attribute__((vector_size(LANES * WORD)));

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

static inline uint64_t scrambled(uint64_t seed, uint64_t number) {
  uint64_t state = (seed + 1) * seed_step + number * index_step;
  return fold(state, state ^ scramble);
}

/* What the words of a block have in common. */
static inline uint64_t key_of(uint64_t seed, uint64_t block) { return scrambled(seed, block + (UINT64_C(1) << 63)); }

uint64_t fk_pattern_word(uint64_t seed, uint64_t index) {
  return scrambled(seed, index % FK_PATTERN_BLOCK) ^ key_of(seed, index / FK_PATTERN_BLOCK);
}

/* Write the part of one word that begins at byte `skip` of it; return how many bytes that were. */
static size_t fill_part(uint8_t *target, size_t size, uint64_t seed, uint64_t index, size_t skip) {
  uint64_t word = htole64(fk_pattern_word(seed, index));
  size_t part = WORD - skip < size ? WORD - skip : size;
  memcpy(target, (const uint8_t *)&word + skip, part);
  return part;
}

/* Where whole words of the stream are: a run of them that lies in one block. */
struct run {
  uint64_t index;
  size_t words;
  uint64_t change; /* from the block before, as it lies in memory */
};

static struct run run_at(uint64_t seed, uint64_t index, size_t words) {
  size_t left = FK_PATTERN_BLOCK - (size_t)(index % FK_PATTERN_BLOCK);
  uint64_t block = index / FK_PATTERN_BLOCK;
  return (struct run){index, words < left ? words : left, htole64(key_of(seed, block) ^ key_of(seed, block - 1))};
}

static void fill_words(uint8_t *target, struct run run, uint64_t seed) {
  uint64_t key = key_of(seed, run.index / FK_PATTERN_BLOCK);
  for (size_t i = 0; i < run.words; i++) {
    uint64_t word = htole64(scrambled(seed, (run.index + i) % FK_PATTERN_BLOCK) ^ key);
    memcpy(target + i * WORD, &word, WORD);
  }
}

/* Write words out of those that lie one block before them. */
static void continue_words(uint8_t *target, struct run run) {
  const lanes change = {run.change, run.change};
  size_t i = 0;
  for (; i + LANES <= run.words; i += LANES) {
    lanes words;
    memcpy(&words, target + i * WORD - BLOCK, sizeof words);
    words ^= change;
    memcpy(target + i * WORD, &words, sizeof words);
  }
  for (; i < run.words; i++) {
    uint64_t word;
    memcpy(&word, target + i * WORD - BLOCK, WORD);
    word ^= run.change;
    memcpy(target + i * WORD, &word, WORD);
  }
}

/* Whether words continue those that lie one block before them. */
static bool words_continue(const uint8_t *seen, struct run run) {
  const lanes change = {run.change, run.change};
  lanes differences = {0};
  uint64_t difference = 0;
  size_t i = 0;
  for (; i + LANES <= run.words; i += LANES) {
    lanes before;
    lanes words;
    memcpy(&before, seen + i * WORD - BLOCK, sizeof before);
    memcpy(&words, seen + i * WORD, sizeof words);
    differences |= before ^ words ^ change;
  }
  for (; i < run.words; i++) {
    uint64_t before;
    uint64_t word;
    memcpy(&before, seen + i * WORD - BLOCK, WORD);
    memcpy(&word, seen + i * WORD, WORD);
    difference |= before ^ word ^ run.change;
  }
  return (difference | differences[0] | differences[1]) == 0;
}

void fk_pattern_fill(uint8_t *target, size_t size, uint64_t seed, uint64_t offset) {
  uint64_t index = offset / WORD;
  size_t skip = offset % WORD;
  size_t before = 0; /* words */
  if (size == 0) {
    return;
  }
  if (skip != 0) {
    size_t part = fill_part(target, size, seed, index++, skip);
    target += part;
    size -= part;
  }
  while (size >= WORD) {
    struct run run = run_at(seed, index, size / WORD);
    if (before < FK_PATTERN_BLOCK) {
      fill_words(target, run, seed);
    } else {
      continue_words(target, run);
    }
    before += run.words;
    index += run.words;
    target += run.words * WORD;
    size -= run.words * WORD;
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

/* Compare up to a block with what is made anew. */
static size_t mismatch_in_block(const uint8_t *seen, size_t size, uint64_t seed, uint64_t offset) {
  uint8_t expected[BLOCK];
  fk_pattern_fill(expected, size, seed, offset);
  return memcmp(seen, expected, size) == 0 ? size : first_difference(seen, expected, size);
}

/* How much to look at next: to the end of the block of the stream in which `offset` lies. */
static size_t part_at(uint64_t offset, size_t left) {
  size_t part = BLOCK - (size_t)(offset % BLOCK);
  return part < left ? part : left;
}

size_t fk_pattern_mismatch(const uint8_t *seen, size_t size, uint64_t seed, uint64_t offset) {
  size_t part;
  for (size_t done = 0; done < size; done += part) {
    uint64_t position = offset + done;
    part = part_at(position, size - done);
    bool continues = done >= BLOCK && position % WORD == 0 && part % WORD == 0;
    if (continues && words_continue(seen + done, run_at(seed, position / WORD, part / WORD))) {
      continue;
    }
    size_t right = mismatch_in_block(seen + done, part, seed, position);
    if (right < part) {
      return done + right;
    }
  }
  return size;
}

uint64_t fk_pattern_find(const uint8_t *bytes, size_t size, uint64_t seed, uint64_t start, uint64_t limit) {
  uint8_t window[BLOCK + NEEDLE];
  if (size == 0 || size > NEEDLE) {
    return limit;
  }
  for (; start < limit; start += BLOCK) {
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
