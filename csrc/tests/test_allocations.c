/* Allocations that fail, without allocators: what counts, what fails, what is noted. */

#include <pthread.h>

#include "allocations.h"
#include "cases.h"

#define THREADS 4
#define EACH 20000u

static struct fk_allocations allocations;

static unsigned long self(void) { return (unsigned long)pthread_self(); }

static bool fails(size_t size) { return fk_allocation_fails(&allocations, FK_OBJECT, FK_MALLOC, size); }

static void test_counting_fails_nothing(void) {
  CHECK(!fails(1)); /* not active yet */
  fk_allocations_begin(&allocations, 0, 1, NULL);
  for (int i = 0; i < 100; i++)
    CHECK(!fails(1));
  fk_allocations_end(&allocations);
  CHECK(!fails(1));
  CHECK(allocations.seen == 100);
  CHECK(allocations.failed == 0);
}

static void test_exactly_the_window_fails(void) {
  fk_allocations_begin(&allocations, 3, 2, NULL);
  for (unsigned i = 1; i <= 10; i++)
    CHECK(fails(i) == (i == 3 || i == 4));
  fk_allocations_begin(&allocations, 2, UINT64_MAX, NULL); /* no overflow at its end */
  CHECK(!fails(1));
  CHECK(fails(1) && fails(1));
}

static void test_other_threads_do_not_count(void) {
  unsigned long other = self() + 1, own = self();

  fk_allocations_begin(&allocations, 1, 1, &other);
  CHECK(!fails(1));
  CHECK(allocations.seen == 0);
  fk_allocations_begin(&allocations, 1, 1, &own);
  CHECK(fails(1));
  CHECK(allocations.seen == 1);
}

static void *allocate(void *failed) {
  for (unsigned i = 0; i < EACH; i++) {
    if (fails(i))
      ++*(unsigned *)failed;
  }
  return NULL;
}

static void test_many_threads_lose_no_count(void) {
  pthread_t threads[THREADS];
  unsigned failed[THREADS] = {0}, all = 0;
  static bool noted[FK_NOTED_FAILURES + 1];

  fk_allocations_begin(&allocations, 1, FK_NOTED_FAILURES, NULL);
  for (int i = 0; i < THREADS; i++)
    CHECK(pthread_create(&threads[i], NULL, allocate, &failed[i]) == 0);
  for (int i = 0; i < THREADS; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
  for (int i = 0; i < THREADS; i++)
    all += failed[i];
  CHECK(allocations.seen == THREADS * EACH);
  CHECK(all == FK_NOTED_FAILURES && allocations.failed == all);
  for (size_t i = 0; i < FK_NOTED_FAILURES; i++) {
    uint64_t index = allocations.failures[i].index;
    CHECK(index >= 1 && index <= FK_NOTED_FAILURES && !noted[index]);
    noted[index] = true;
  }
}

static void test_failures_are_noted(void) {
  fk_allocations_begin(&allocations, 2, UINT64_MAX, NULL);
  CHECK(!fails(1));
  CHECK(fk_allocation_fails(&allocations, FK_RAW, FK_REALLOC, 77));
  CHECK(fk_allocations_noted(&allocations) == 1);
  CHECK(allocations.failures[0].index == 2);
  CHECK(allocations.failures[0].domain == FK_RAW);
  CHECK(allocations.failures[0].operation == FK_REALLOC);
  CHECK(allocations.failures[0].size == 77);
  CHECK(allocations.failures[0].thread == self());
  for (unsigned i = 0; i < FK_NOTED_FAILURES + 10; i++)
    CHECK(fails(i));
  CHECK(fk_allocations_noted(&allocations) == FK_NOTED_FAILURES);
  CHECK(allocations.failed == FK_NOTED_FAILURES + 11);
}

static void test_the_same_again(void) {
  for (int i = 0; i < 3; i++) {
    fk_allocations_begin(&allocations, 2, 1, NULL);
    CHECK(!fails(5) && fails(6) && !fails(7));
    fk_allocations_end(&allocations);
    CHECK(allocations.failures[0].index == 2 && allocations.failures[0].size == 6);
    CHECK(fk_allocations_noted(&allocations) == 1);
  }
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"counting", test_counting_fails_nothing},   {"window", test_exactly_the_window_fails},
      {"thread", test_other_threads_do_not_count}, {"many_threads", test_many_threads_lose_no_count},
      {"trace", test_failures_are_noted},          {"again", test_the_same_again},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
