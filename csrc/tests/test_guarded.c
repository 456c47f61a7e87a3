/* Guarded memory: where it lies, that it is given back, and that each forbidden access is a crash that names it. */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "crash.h"
#include "guarded.h"
#include "guards.h"

static struct fk_guarded mapped(size_t size, enum fk_flush flush) {
  struct fk_guarded guarded;

  CHECK(fk_guarded_map(&guarded, "reply", size, 1, flush) == 0);
  return guarded;
}

static void test_data_touches_a_guard_whatever_the_size_of_a_page(void) {
  static const size_t pages[] = {4096, 16384, 65536};
  static const size_t sizes[] = {0, 1, 8, 4095, 4096, 4097, 65536, 1000001};

  for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
    for (size_t j = 0; j < sizeof(sizes) / sizeof(*sizes); j++) {
      size_t page = pages[i], size = sizes[j];
      struct fk_placement upper, lower, aligned;

      CHECK(fk_guarded_place(size, 1, FK_UPPER, page, &upper) == 0);
      CHECK(fk_guarded_place(size, 1, FK_LOWER, page, &lower) == 0);
      CHECK(fk_guarded_place(size, 64, FK_UPPER, page, &aligned) == 0);
      CHECK(upper.pages % page == 0 && upper.accessible % page == 0 && upper.mapped % page == 0);
      CHECK(upper.accessible >= size && upper.accessible < size + page);
      CHECK(upper.data + size == upper.pages + upper.accessible);
      CHECK(lower.data == lower.pages);
      CHECK(aligned.data % 64 == 0 && upper.data - aligned.data < 64);
      CHECK(upper.pages >= FK_GUARD_WIDTH && upper.mapped - upper.pages - upper.accessible >= FK_GUARD_WIDTH);
    }
  }
  struct fk_placement placement;
  CHECK(fk_guarded_place(SIZE_MAX, 1, FK_UPPER, 4096, &placement) == -1);
  CHECK(fk_guarded_place(PTRDIFF_MAX, 4096, FK_UPPER, 4096, &placement) == -1);
}

static void test_data_is_zero_and_writable(void) {
  struct fk_guarded guarded = mapped(10000, FK_UPPER);

  for (size_t i = 0; i < guarded.size; i++)
    CHECK(guarded.data[i] == 0);
  memset(guarded.data, 0xA5, guarded.size);
  CHECK(guarded.data[guarded.size - 1] == 0xA5);
  fk_guarded_unmap(&guarded);
  fk_guarded_unmap(&guarded);
}

static void test_a_write_into_the_margin_is_found(void) {
  struct fk_guarded guarded;
  ptrdiff_t offset;

  CHECK(fk_guarded_map(&guarded, "reply", 100, 64, FK_UPPER) == 0);
  memset(guarded.data, 0xA5, guarded.size);
  CHECK(!fk_guarded_damage(&guarded, &offset));
  guarded.data[100] ^= 1;
  CHECK(fk_guarded_damage(&guarded, &offset) && offset == 100);
  guarded.data[-3] ^= 1;
  CHECK(fk_guarded_damage(&guarded, &offset) && offset == -3);
  fk_guarded_unmap(&guarded);
}

static void test_mappings_are_given_back(void) {
  struct fk_guarded guarded;
  struct fk_guard found;
  unsigned char resident;

  for (size_t i = 0; i < 1000; i++) {
    guarded = mapped(i * 7, i % 2 ? FK_UPPER : FK_LOWER);
    uint8_t *mapping = guarded.mapping;
    uint8_t *pages = mapping + guarded.placement.pages;
    size_t last = guarded.placement.mapped - fk_page_size();
    CHECK(i == 0 || mincore(pages, fk_page_size(), &resident) == 0);
    CHECK(fk_guards_find((uintptr_t)mapping, &found));
    if (i % 3 == 0)
      CHECK(fk_guarded_release(&guarded, false) == 0);
    fk_guarded_unmap(&guarded);
    CHECK(mincore(mapping, fk_page_size(), &resident) < 0 && errno == ENOMEM);
    CHECK(mincore(pages, fk_page_size(), &resident) < 0 && errno == ENOMEM);
    CHECK(mincore(mapping + last, fk_page_size(), &resident) < 0 && errno == ENOMEM);
    CHECK(!fk_guards_find((uintptr_t)mapping, &found));
  }
}

static void test_what_cannot_be_mapped_is_refused(void) {
  static const char name[] = "a name that is longer than sixty-three bytes, which is one more.";
  struct fk_guarded guarded;

  CHECK(sizeof(name) == FK_GUARD_NAME + 1);
  CHECK(fk_guarded_map(&guarded, name, 1, 1, FK_UPPER) == ENAMETOOLONG);
  CHECK(fk_guarded_map(&guarded, name + 1, 1, 1, FK_UPPER) == 0);
  fk_guarded_unmap(&guarded);
  CHECK(fk_guarded_map(&guarded, "too big", PTRDIFF_MAX / 2, 1, FK_UPPER) == ENOMEM);
  CHECK(fk_guarded_map(&guarded, "too big", SIZE_MAX, 1, FK_UPPER) == ENOMEM);
}

static void test_gigabytes_cost_nothing(void) {
  size_t size = ((size_t)5 << 30) + 1;
  struct fk_guarded guarded = mapped(size, FK_UPPER);

  guarded.data[0] = guarded.data[size - 1] = 1;
  CHECK(guarded.data[size / 2] == 0);
  fk_guarded_unmap(&guarded);
}

/* What a child process does that is to die by SIGSEGV. */
typedef void deed(struct fk_guarded *guarded);

static volatile uint8_t sink;
static void write_past_the_end(struct fk_guarded *guarded) { *(volatile uint8_t *)(guarded->data + guarded->size) = 1; }
static void read_past_the_end(struct fk_guarded *guarded) {
  sink = *(volatile uint8_t *)(guarded->data + guarded->size + 2);
}
static void read_before_the_start(struct fk_guarded *guarded) { sink = *(volatile uint8_t *)(guarded->data - 1); }
static void write_into_constant(struct fk_guarded *guarded) {
  CHECK(fk_guarded_protect(guarded) == 0);
  *(volatile uint8_t *)guarded->data = 1;
}
static void read_after_release(struct fk_guarded *guarded) {
  CHECK(fk_guarded_release(guarded, false) == 0);
  sink = *(volatile uint8_t *)(guarded->data + 5);
}
static void write_after_move(struct fk_guarded *guarded) {
  CHECK(fk_guarded_release(guarded, true) == 0);
  *(volatile uint8_t *)guarded->data = 1;
}
static void report_twice(struct fk_guarded *guarded) {
  CHECK(fk_crash_keep_reporting() == 0);
  write_past_the_end(guarded);
}

/* Do it in a child process; read what was reported. */
static void crash(deed *deed, size_t size, enum fk_flush flush, char *report, size_t room) {
  int ends[2], status;
  size_t length = 0;

  CHECK(pipe(ends) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL); /* a sanitizer has a handler, which would end the process in its own way */
    CHECK(fk_crash_report_to(ends[1]) == 0);
    struct fk_guarded guarded = mapped(size, flush);
    deed(&guarded);
    _exit(0);
  }
  close(ends[1]);
  for (ssize_t got; length < room - 1 && (got = read(ends[0], report + length, room - 1 - length)) > 0;)
    length += (size_t)got;
  report[length] = '\0';
  close(ends[0]);
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* Whether a report begins as it should; an emulated machine may not tell a read from a write. */
static bool begins(const char *report, const char *access, const char *rest) {
  char expected[FK_DESCRIPTION];

  snprintf(expected, sizeof(expected), "guarded buffer 'reply': %s %s", access, rest);
  return strncmp(report, expected, strlen(expected)) == 0;
}

static void expect_report(deed *deed, size_t size, enum fk_flush flush, const char *access, const char *rest) {
#if defined(__x86_64__)
  const char *vague = access;
#else
  const char *vague = "access";
#endif
  char report[65536];

  crash(deed, size, flush, report, sizeof(report));
  if (!begins(report, access, rest) && !begins(report, vague, rest)) {
    fprintf(stderr, "expected: %s %s\nreported: %s", access, rest, report);
    exit(1);
  }
  CHECK(strstr(report, "\nC backtrace (SIGSEGV):\n") != NULL);
}

static void test_a_forbidden_access_is_a_crash_that_names_the_buffer(void) {
  expect_report(write_past_the_end, 10, FK_UPPER, "write", "at offset 10, 1 byte past its end (size 10)\n");
  expect_report(read_past_the_end, 4096, FK_UPPER, "read", "at offset 4098, 3 bytes past its end (size 4096)\n");
  expect_report(read_before_the_start, 10, FK_LOWER, "read", "at offset -1, 1 byte before its start (size 10)\n");
  expect_report(report_twice, 10, FK_UPPER, "write", "at offset 10");
}

static void test_read_only_data_is_not_written_to(void) {
  expect_report(write_into_constant, 10, FK_UPPER, "write", "at offset 0, which is read-only (size 10)\n");
}

static void test_released_data_is_not_touched(void) {
  expect_report(read_after_release, 10, FK_UPPER, "read", "at offset 5, after its release (size 10)\n");
  expect_report(write_after_move, 10, FK_UPPER, "write",
                "at offset 0, of the memory that it had before it was resized");
}

static void test_of_nothing_not_even_the_first_byte_is_touched(void) {
  expect_report(write_past_the_end, 0, FK_UPPER, "write", "at offset 0, 1 byte past its end (size 0)\n");
  expect_report(read_before_the_start, 0, FK_UPPER, "read", "at offset -1, 1 byte before its start (size 0)\n");
}

/* A handler that came later and, as faulthandler does, puts back whom it replaced and raises the signal again. */
static struct sigaction replaced;
static void hand_back(int number) {
  sigaction(number, &replaced, NULL);
  raise(number);
}
static void crash_with_a_later_handler(struct fk_guarded *guarded) {
  struct sigaction later = {.sa_handler = hand_back, .sa_flags = (int)SA_NODEFER};
  CHECK(sigaction(SIGSEGV, &later, &replaced) == 0);
  CHECK(fk_crash_keep_reporting() == 0);
  write_past_the_end(guarded);
}

static void test_handlers_that_hand_the_signal_to_each_other_come_to_an_end(void) {
  expect_report(crash_with_a_later_handler, 10, FK_UPPER, "write", "at offset 10, 1 byte");
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"placement", test_data_touches_a_guard_whatever_the_size_of_a_page},
      {"data", test_data_is_zero_and_writable},
      {"margins", test_a_write_into_the_margin_is_found},
      {"readonly", test_read_only_data_is_not_written_to},
      {"release", test_released_data_is_not_touched},
      {"empty", test_of_nothing_not_even_the_first_byte_is_touched},
      {"sparse", test_gigabytes_cost_nothing},
      {"mappings", test_mappings_are_given_back},
      {"refusals", test_what_cannot_be_mapped_is_refused},
      {"crashes", test_a_forbidden_access_is_a_crash_that_names_the_buffer},
      {"handed_back", test_handlers_that_hand_the_signal_to_each_other_come_to_an_end},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
