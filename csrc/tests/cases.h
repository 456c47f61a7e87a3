/* What C unit tests are written with: cases with names, of which a program runs the one that its argument names. */

#ifndef LOOPPROOF_TESTS_CASES_H
#define LOOPPROOF_TESTS_CASES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with a failure that says where, and what does not hold. */
#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                                    \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

struct test_case {
  const char *name;
  void (*run)(void);
};

/* For main(): runs the case that the argument names. Returns the exit status. */
static inline int run_named_case(const struct test_case *cases, size_t count, int argc, char **argv) {
  for (size_t i = 0; argc == 2 && i < count; i++) {
    if (strcmp(cases[i].name, argv[1]) == 0) {
      cases[i].run();
      return 0;
    }
  }
  fprintf(stderr, "usage: %s CASE, one of:", argv[0]);
  for (size_t i = 0; i < count; i++)
    fprintf(stderr, " %s", cases[i].name);
  fputc('\n', stderr);
  return 2;
}

/* The next of a sequence of pseudo-random numbers, the same in every run; the state starts with anything but 0. */
static inline uint32_t next_random(uint32_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

#endif
