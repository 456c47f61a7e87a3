/* The byte pattern: any part is the part of the whole, and the first wrong byte is found. */

#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "pattern.h"

#define SIZE (3 * 4096u + 100) /* more than one block is made from the one before it */

static void test_the_words_are_those_of_the_definition(void) {
  uint8_t bytes[8];
  uint64_t word = fk_pattern_word(7, 3);

  fk_pattern_fill(bytes, sizeof bytes, 7, 24);
  for (size_t i = 0; i < sizeof bytes; i++)
    CHECK(bytes[i] == (uint8_t)(word >> (8 * i)));
}

static void test_any_part_is_the_part_of_the_whole(void) {
  uint8_t whole[SIZE], part[SIZE];

  fk_pattern_fill(whole, SIZE, 1, 0);
  for (size_t offset = 0; offset < 40; offset++) {
    for (size_t size = 0; size < 70; size++) {
      memset(part, 0xA5, SIZE);
      fk_pattern_fill(part, size, 1, offset);
      CHECK(memcmp(part, whole + offset, size) == 0);
      CHECK(part[size] == 0xA5);
    }
  }
}

static void test_whole_blocks_have_the_words_of_the_definition(void) {
  static uint8_t bytes[8 * 4096];

  for (uint64_t offset = 0; offset < 20000; offset += 4093) {
    fk_pattern_fill(bytes, sizeof bytes, 3, offset);
    for (size_t i = 0; i < sizeof bytes; i++)
      CHECK(bytes[i] == (uint8_t)(fk_pattern_word(3, (offset + i) / 8) >> (8 * ((offset + i) % 8))));
  }
}

static void test_the_first_wrong_byte_is_found(void) {
  uint8_t bytes[SIZE];

  for (size_t offset = 0; offset < 9; offset++) {
    for (size_t wrong = 0; wrong < SIZE; wrong += wrong % 4096 < 20 || wrong % 4096 > 4080 ? 1 : 97) {
      fk_pattern_fill(bytes, SIZE, 2, offset);
      CHECK(fk_pattern_mismatch(bytes, SIZE, 2, offset) == SIZE);
      bytes[wrong] ^= 0x80;
      bytes[SIZE - 1] ^= 1;
      CHECK(fk_pattern_mismatch(bytes, SIZE, 2, offset) == wrong);
    }
  }
}

static void test_bytes_are_found_in_the_stream(void) {
  uint8_t bytes[32];

  fk_pattern_fill(bytes, sizeof bytes, 9, 12345);
  CHECK(fk_pattern_find(bytes, sizeof bytes, 9, 0, 100000) == 12345);
  CHECK(fk_pattern_find(bytes, sizeof bytes, 9, 0, 12000) == 12000);
  CHECK(fk_pattern_find(bytes, sizeof bytes, 8, 0, 100000) == 100000);
  CHECK(fk_pattern_find(bytes, sizeof bytes, 9, 12345, 100000) == 12345);
  CHECK(fk_pattern_find(bytes, sizeof bytes, 9, 12346, 100000) == 100000);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"words", test_the_words_are_those_of_the_definition},
      {"parts", test_any_part_is_the_part_of_the_whole},
      {"blocks", test_whole_blocks_have_the_words_of_the_definition},
      {"mismatch", test_the_first_wrong_byte_is_found},
      {"find", test_bytes_are_found_in_the_stream},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
