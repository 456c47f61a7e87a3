/* The deterministic byte pattern: see pattern.h for its definition. */
#include "pattern.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define WORD sizeof(uint64_t)
#define BLOCK ((size_t)FK_PATTERN_BLOCK * WORD) /* bytes */
#define NEEDLE 64

/* Words that the compiler handles at once. */
typedef uint64_t lanes __attribute__((vector_size(2 * WORD)));

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

void fk_stream_prepare(struct fk_stream *stream, uint64_t seed) {
  stream->seed = seed;
  for (uint64_t i = 0; i < FK_PATTERN_BLOCK; i++) {
    stream->words[i] = htole64(scrambled(seed, i));
  }
}

/* A run of bytes of the stream that lies in one block. */
struct run {
  const uint8_t *words; /* from the word on in which it begins */
  size_t skip;          /* bytes of that word which come before it */
  size_t size;
  uint64_t key; /* of the block, as it lies in memory */
};

static struct run run_at(const struct fk_stream *stream, uint64_t offset, size_t left) {
  size_t first = (size_t)(offset % BLOCK);
  return (struct run){
      .words = (const uint8_t *)stream->words + (first - first % WORD),
      .skip = first % WORD,
      .size = BLOCK - first < left ? BLOCK - first : left,
      .key = htole64(key_of(stream->seed, offset / BLOCK)),
  };
}

/* Write up to a word: `size` bytes of the one at `words` that come after `skip` others. */
static void fill_part(uint8_t *target, size_t size, const uint8_t *words, size_t skip, uint64_t key) {
  uint64_t word;
  memcpy(&word, words, WORD);
  word ^= key;
  memcpy(target, (const uint8_t *)&word + skip, size);
}

static void fill_run(uint8_t *target, struct run run) {
  const lanes key = {run.key, run.key};
  if (run.skip != 0) {
    size_t part = WORD - run.skip < run.size ? WORD - run.skip : run.size;
    fill_part(target, part, run.words, run.skip, run.key);
    target += part;
    run.size -= part;
    run.words += WORD;
  }
  size_t at = 0;
  for (; at + sizeof(lanes) <= run.size; at += sizeof(lanes)) {
    lanes words;
    memcpy(&words, run.words + at, sizeof words);
    words ^= key;
    memcpy(target + at, &words, sizeof words);
  }
  for (; at < run.size; at += WORD) {
    fill_part(target + at, run.size - at < WORD ? run.size - at : WORD, run.words + at, 0, run.key);
  }
}

static size_t first_difference(const uint8_t *left, const uint8_t *right, size_t size) {
  size_t at = 0;
  while (at < size && left[at] == right[at]) {
    at++;
  }
  return at;
}

/* Whether a run that consists of whole lanes is right; false if it does not. */
static bool lanes_are_right(const uint8_t *seen, struct run run) {
  const lanes key = {run.key, run.key};
  lanes differences = {0};
  if (run.skip != 0 || run.size % sizeof(lanes) != 0) {
    return false;
  }
  for (size_t at = 0; at < run.size; at += sizeof(lanes)) {
    lanes words;
    lanes expected;
    memcpy(&words, seen + at, sizeof words);
    memcpy(&expected, run.words + at, sizeof expected);
    differences |= words ^ expected ^ key;
  }
  return (differences[0] | differences[1]) == 0;
}

void fk_stream_fill(const struct fk_stream *stream, uint8_t *target, size_t size, uint64_t offset) {
  for (size_t done = 0; done < size;) {
    struct run run = run_at(stream, offset + done, size - done);
    fill_run(target + done, run);
    done += run.size;
  }
}

static size_t mismatch_in_run(const uint8_t *seen, struct run run) {
  uint8_t expected[BLOCK];
  if (lanes_are_right(seen, run)) {
    return run.size;
  }
  fill_run(expected, run);
  return memcmp(seen, expected, run.size) == 0 ? run.size : first_difference(seen, expected, run.size);
}

size_t fk_stream_mismatch(const struct fk_stream *stream, const uint8_t *seen, size_t size, uint64_t offset) {
  for (size_t done = 0; done < size;) {
    struct run run = run_at(stream, offset + done, size - done);
    size_t right = mismatch_in_run(seen + done, run);
    if (right < run.size) {
      return done + right;
    }
    done += run.size;
  }
  return size;
}

void fk_pattern_fill(uint8_t *target, size_t size, uint64_t seed, uint64_t offset) {
  struct fk_stream stream;
  fk_stream_prepare(&stream, seed);
  fk_stream_fill(&stream, target, size, offset);
}

size_t fk_pattern_mismatch(const uint8_t *seen, size_t size, uint64_t seed, uint64_t offset) {
  struct fk_stream stream;
  fk_stream_prepare(&stream, seed);
  return fk_stream_mismatch(&stream, seen, size, offset);
}

uint64_t fk_pattern_find(const uint8_t *bytes, size_t size, uint64_t seed, uint64_t start, uint64_t limit) {
  struct fk_stream stream;
  uint8_t window[BLOCK + NEEDLE];
  fk_stream_prepare(&stream, seed);
  if (size == 0 || size > NEEDLE) {
    return limit;
  }
  for (; start < limit; start += BLOCK) {
    uint64_t left = limit - start;
    size_t starts = left < BLOCK ? (size_t)left : BLOCK;
    fk_stream_fill(&stream, window, starts + size - 1, start);
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
