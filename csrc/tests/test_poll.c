/* The watched descriptors: who is told of what, numbers that are closed and given to others, time limits, waking. */

#include "cases.h"
#include "poll.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MANY 300

/* What poll_take() gave out. */
struct told {
  void *callees[2 * MANY];
  size_t count;
};

static int a, b, c; /* callees are addresses, no more */

static int note(void *context, void *callee) {
  struct told *told = context;

  CHECK(told->count < sizeof(told->callees) / sizeof(*told->callees));
  told->callees[told->count++] = callee;
  return 0;
}

static struct told wait_and_take(struct poll *poll, int64_t timeout) {
  struct told told = {.count = 0};

  poll_prepare(poll);
  CHECK(poll_wait(poll, timeout) == 0);
  CHECK(poll_take(poll, note, &told) == 0);
  return told;
}

static bool nobody_told(struct poll *poll) { return wait_and_take(poll, 0).count == 0; }

static bool only_told(struct poll *poll, void *callee) {
  struct told told = wait_and_take(poll, 0);

  return told.count == 1 && told.callees[0] == callee;
}

static void watch(struct poll *poll, int fd, enum poll_direction direction, void *callee) {
  void *displaced[2];

  CHECK(poll_add(poll, fd, direction, callee, displaced) == 0);
  CHECK(displaced[0] == NULL && displaced[1] == NULL);
}

/* A pair of connected sockets of which the second has a byte to read. */
static void open_readable(int ends[2]) {
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  CHECK(write(ends[0], "x", 1) == 1);
}

static void close_both(const int ends[2]) { CHECK(close(ends[0]) == 0 && close(ends[1]) == 0); }

static void test_each_direction_has_its_callee(void) {
  struct poll poll;
  struct told told;
  int ends[2];

  CHECK(poll_open(&poll) == 0);
  open_readable(ends);
  CHECK(nobody_told(&poll));
  watch(&poll, ends[1], POLL_READ, &a);
  CHECK(only_told(&poll, &a));
  watch(&poll, ends[1], POLL_WRITE, &b);
  told = wait_and_take(&poll, -1);
  CHECK(told.count == 2 && told.callees[0] == &a && told.callees[1] == &b);
  CHECK(!poll_remove(&poll, ends[1], POLL_READ, &b));
  CHECK(poll_remove(&poll, ends[1], POLL_READ, &a));
  CHECK(only_told(&poll, &b));
  CHECK(poll_remove(&poll, ends[1], POLL_WRITE, &b));
  CHECK(poll.count == 0 && nobody_told(&poll));
  CHECK(!poll_remove(&poll, ends[1], POLL_WRITE, &b));
  CHECK(!poll_remove(&poll, 100000, POLL_READ, &a) && !poll_remove(&poll, -1, POLL_READ, &a));
  poll_close(&poll);
  close_both(ends);
}

static void test_hang_up_is_told_to_both(void) {
  struct poll poll;
  int ends[2];

  CHECK(poll_open(&poll) == 0);
  open_readable(ends);
  CHECK(close(ends[0]) == 0);
  watch(&poll, ends[1], POLL_READ, &a);
  watch(&poll, ends[1], POLL_WRITE, &b);
  CHECK(wait_and_take(&poll, -1).count == 2);
  CHECK(close(ends[1]) == 0);
  poll_close(&poll);
}

static void test_a_callee_is_replaced(void) {
  struct poll poll;
  void *displaced[2];
  int ends[2];

  CHECK(poll_open(&poll) == 0);
  open_readable(ends);
  watch(&poll, ends[1], POLL_READ, &a);
  CHECK(poll_add(&poll, ends[1], POLL_READ, &b, displaced) == 0);
  CHECK(displaced[POLL_READ] == &a && displaced[POLL_WRITE] == NULL);
  CHECK(poll.count == 1 && only_told(&poll, &b));
  poll_close(&poll);
  close_both(ends);
}

static void test_what_cannot_be_watched_is_refused(void) {
  struct poll poll;
  void *displaced[2];
  int ends[2];

  CHECK(poll_open(&poll) == 0);
  CHECK(poll_add(&poll, 1000, POLL_READ, &a, displaced) < 0 && errno == EBADF);
  CHECK(poll_add(&poll, INT32_MAX, POLL_READ, &a, displaced) < 0 && errno == ENOMEM);
  CHECK(poll.count == 0 && poll_callee(&poll, 1000, POLL_READ) == NULL);
  open_readable(ends);
  watch(&poll, ends[1], POLL_WRITE, &a);
  CHECK(close(ends[1]) == 0);
  CHECK(poll_add(&poll, ends[1], POLL_READ, &b, displaced) < 0 && errno == EBADF);
  CHECK(displaced[POLL_WRITE] == &a && displaced[POLL_READ] == NULL); /* it is not watched any more either */
  CHECK(poll.count == 0);
  CHECK(close(ends[0]) == 0);
  poll_close(&poll);
}

static void test_a_number_may_belong_to_another_file(void) {
  struct poll poll;
  void *displaced[2];
  int first[2], second[2];

  CHECK(poll_open(&poll) == 0);
  open_readable(first);
  open_readable(second);
  watch(&poll, first[1], POLL_READ, &a);
  CHECK(dup2(second[1], first[1]) == first[1]); /* closes what was watched */
  CHECK(nobody_told(&poll));
  CHECK(poll_add(&poll, first[1], POLL_WRITE, &b, displaced) == 0);
  CHECK(displaced[POLL_READ] == &a && displaced[POLL_WRITE] == NULL);
  CHECK(only_told(&poll, &b));
  poll_close(&poll);
  close_both(first);
  close_both(second);
}

/* Events that are found and not given out yet are of the files of that moment. */
static void test_found_events_are_of_the_old_file(void) {
  struct poll poll;
  struct told told = {.count = 0};
  int first[2], second[2];

  CHECK(poll_open(&poll) == 0);
  open_readable(first);
  open_readable(second);
  watch(&poll, first[1], POLL_READ, &a);
  poll_prepare(&poll);
  CHECK(poll_wait(&poll, -1) == 0);
  CHECK(poll_remove(&poll, first[1], POLL_READ, &a));
  CHECK(dup2(second[0], first[1]) == first[1]);
  watch(&poll, first[1], POLL_READ, &b);
  CHECK(poll_take(&poll, note, &told) == 0 && told.count == 0);
  CHECK(nobody_told(&poll));
  CHECK(write(second[1], "x", 1) == 1);
  CHECK(only_told(&poll, &b));
  poll_close(&poll);
  close_both(first);
  close_both(second);
}

/* A closed number whose file is still open elsewhere stays in the kernel's set; it must not keep the loop awake. */
static void test_what_nobody_watches_does_not_wake(void) {
  struct poll poll;
  int gone[2], kept[2], copy;

  CHECK(poll_open(&poll) == 0);
  open_readable(gone);
  open_readable(kept);
  watch(&poll, gone[1], POLL_READ, &a);
  watch(&poll, kept[1], POLL_READ, &b);
  CHECK((copy = dup(gone[1])) >= 0);
  CHECK(close(gone[1]) == 0);
  CHECK(poll_remove(&poll, gone[1], POLL_READ, &a));
  for (int i = 0; i < 3; i++)
    CHECK(only_told(&poll, &b));
  CHECK(poll_remove(&poll, kept[1], POLL_READ, &b));
  poll_prepare(&poll);
  CHECK(poll_wait(&poll, 0) == 0 && poll.found_count == 0);
  poll_wake(&poll);
  CHECK(poll_wait(&poll, -1) == 0 && poll.found_count == 1); /* the new set has the waker, too */
  poll_close(&poll);
  CHECK(close(gone[0]) == 0 && close(copy) == 0);
  close_both(kept);
}

/* When the set is made anew, what has the number of a closed file is not taken for that. */
static void test_a_new_set_is_of_the_same_files(void) {
  struct poll poll;
  int gone[2], closed[2], other[2], copy;

  CHECK(poll_open(&poll) == 0);
  open_readable(gone);
  open_readable(closed);
  open_readable(other);
  watch(&poll, closed[1], POLL_READ, &a);
  watch(&poll, gone[1], POLL_READ, &b);
  CHECK(dup2(other[1], closed[1]) == closed[1]);
  CHECK((copy = dup(gone[1])) >= 0);
  CHECK(close(gone[1]) == 0);
  CHECK(poll_remove(&poll, gone[1], POLL_READ, &b));
  CHECK(nobody_told(&poll)); /* now the set is new */
  CHECK(nobody_told(&poll));
  poll_close(&poll);
  CHECK(close(gone[0]) == 0 && close(copy) == 0);
  close_both(closed);
  close_both(other);
}

static void test_one_who_left_comes_back(void) {
  struct poll poll;
  uint32_t generation;
  int ends[2];

  CHECK(poll_open(&poll) == 0);
  open_readable(ends);
  watch(&poll, ends[1], POLL_READ, &a);
  generation = poll.table[ends[1]].generation;
  CHECK(!poll_leave(&poll, ends[1], &b));
  CHECK(poll_leave(&poll, ends[1], &a));
  CHECK(!poll_leave(&poll, ends[1], &a));
  CHECK(poll_callee(&poll, ends[1], POLL_READ) == NULL);
  watch(&poll, ends[1], POLL_READ, &b);
  CHECK(poll.table[ends[1]].generation == generation); /* the kernel's registration has stayed */
  CHECK(only_told(&poll, &b));
  watch(&poll, ends[1], POLL_WRITE, &c);
  CHECK(poll_leave(&poll, ends[1], &b));
  CHECK(only_told(&poll, &c));
  CHECK(poll_remove(&poll, ends[1], POLL_WRITE, &c));
  CHECK(poll.count == 0);
  poll_close(&poll);
  close_both(ends);
}

/* Who left and does not come back is found ready once at most: also if the file is closed but open under another
   number, or closed for good. */
static void test_one_who_left_wakes_once(void) {
  for (int how = 0; how < 3; how++) {
    struct told told = {.count = 0};
    struct poll poll;
    int ends[2], copy = -1;

    CHECK(poll_open(&poll) == 0);
    open_readable(ends);
    watch(&poll, ends[1], POLL_READ, &a);
    CHECK(poll_leave(&poll, ends[1], &a));
    if (how == 1)
      CHECK((copy = dup(ends[1])) >= 0);
    if (how != 0)
      CHECK(close(ends[1]) == 0);
    poll_prepare(&poll);
    CHECK(poll_wait(&poll, 0) == 0 && poll.found_count == (how == 2 ? 0 : 1));
    CHECK(poll_take(&poll, note, &told) == 0 && told.count == 0);
    CHECK(poll_wait(&poll, 0) == 0 && poll.found_count == 0);
    poll_close(&poll);
    CHECK(close(ends[0]) == 0 && (how == 2 || close(how == 1 ? copy : ends[1]) == 0));
  }
}

/* The number may be another file's meanwhile. */
static void test_one_who_left_comes_back_to_another_file(void) {
  struct poll poll;
  int first[2], second[2];

  CHECK(poll_open(&poll) == 0);
  open_readable(first);
  open_readable(second);
  watch(&poll, first[1], POLL_READ, &a);
  CHECK(poll_leave(&poll, first[1], &a));
  CHECK(dup2(second[1], first[1]) == first[1]);
  watch(&poll, first[1], POLL_READ, &b);
  CHECK(only_told(&poll, &b));
  CHECK(poll.count == 1);
  poll_close(&poll);
  close_both(first);
  close_both(second);
}

static void test_all_that_are_ready_are_found_at_once(void) {
  struct poll poll;
  struct told told;
  int ends[MANY][2];

  CHECK(poll_open(&poll) == 0);
  for (int i = 0; i < MANY; i++) {
    open_readable(ends[i]);
    watch(&poll, ends[i][1], POLL_READ, &ends[i]);
  }
  told = wait_and_take(&poll, -1);
  CHECK(told.count == MANY);
  for (int i = 0; i < MANY; i++) {
    bool there = false;
    for (size_t k = 0; k < told.count; k++)
      there = there || told.callees[k] == &ends[i];
    CHECK(there);
    close_both(ends[i]);
  }
  poll_close(&poll);
}

static int64_t nanoseconds(void) {
  struct timespec now;

  CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void test_no_wait_is_too_short(void) {
  static const int64_t limits[] = {0, 1, 10000, 999999, 1000001, 3500000};
  struct poll poll;

  CHECK(poll_open(&poll) == 0);
  for (int coarse = 0; coarse < 2; coarse++) {
    poll.coarse = coarse;
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
      int64_t start = nanoseconds();
      CHECK(wait_and_take(&poll, limits[i]).count == 0);
      CHECK(nanoseconds() - start >= limits[i]);
    }
  }
  poll_close(&poll);
}

static void *wake_soon(void *poll) {
  poll_wake(poll);
  return NULL;
}

static void test_waking_ends_one_wait(void) {
  struct poll poll;

  CHECK(poll_open(&poll) == 0);
  for (int i = 0; i < 100; i++) {
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, wake_soon, &poll) == 0);
    CHECK(wait_and_take(&poll, -1).count == 0);
    CHECK(pthread_join(thread, NULL) == 0);
  }
  poll_wake(&poll);
  poll_wake(&poll);
  CHECK(poll_wait(&poll, -1) == 0 && poll.found_count == 1);
  CHECK(poll_wait(&poll, 0) == 0 && poll.found_count == 0);
  poll_close(&poll);
}

static void test_claims_last_until_they_are_given_up(void) {
  struct poll poll;

  CHECK(poll_open(&poll) == 0);
  CHECK(poll_claimant(&poll, 500) == NULL && poll_claimant(&poll, -1) == NULL);
  CHECK(poll_claim(&poll, 500, &a) == 0);
  CHECK(poll_claimant(&poll, 500) == &a);
  CHECK(poll_claim(&poll, 500, &b) == 0);
  poll_disclaim(&poll, 500, &a);
  CHECK(poll_claimant(&poll, 500) == &b);
  poll_disclaim(&poll, 500, &b);
  CHECK(poll_claimant(&poll, 500) == NULL);
  poll_close(&poll);
}

static int refuse(void *context, void *callee) {
  (void)context;
  (void)callee;
  return -1;
}

static void test_giving_out_can_fail(void) {
  struct poll poll;
  int ends[2];

  CHECK(poll_open(&poll) == 0);
  open_readable(ends);
  watch(&poll, ends[1], POLL_READ, &c);
  poll_prepare(&poll);
  CHECK(poll_wait(&poll, -1) == 0);
  CHECK(poll_take(&poll, refuse, NULL) == -1);
  CHECK(only_told(&poll, &c)); /* it is not lost */
  poll_close(&poll);
  close_both(ends);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"directions", test_each_direction_has_its_callee},
      {"hang_up", test_hang_up_is_told_to_both},
      {"replacing", test_a_callee_is_replaced},
      {"refusal", test_what_cannot_be_watched_is_refused},
      {"other_file", test_a_number_may_belong_to_another_file},
      {"found_before", test_found_events_are_of_the_old_file},
      {"orphans", test_what_nobody_watches_does_not_wake},
      {"new_set", test_a_new_set_is_of_the_same_files},
      {"leaving", test_one_who_left_comes_back},
      {"left_ready", test_one_who_left_wakes_once},
      {"left_other_file", test_one_who_left_comes_back_to_another_file},
      {"many", test_all_that_are_ready_are_found_at_once},
      {"limits", test_no_wait_is_too_short},
      {"waking", test_waking_ends_one_wait},
      {"claims", test_claims_last_until_they_are_given_up},
      {"failure", test_giving_out_can_fail},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
