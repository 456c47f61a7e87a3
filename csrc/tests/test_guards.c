/* The table of guards: what is entered is found, whole, while others come and go; and how an access is described. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "cases.h"
#include "guards.h"

static struct fk_guard guard_at(uintptr_t low, const char *name) {
  struct fk_guard guard = {.low = low, .high = low + 100, .data = low + 40, .size = 20, .state = FK_WRITABLE};

  snprintf(guard.name, sizeof(guard.name), "%s", name);
  return guard;
}

static void test_what_was_entered_is_found(void) {
  struct fk_guard first = guard_at(1000, "first"), second = guard_at(2000, "second"), found;
  int number = fk_guards_add(&first);

  CHECK(number >= 0 && fk_guards_add(&second) >= 0);
  CHECK(fk_guards_find(1000, &found) && strcmp(found.name, "first") == 0 && found.size == 20 && found.data == 1040);
  CHECK(fk_guards_find(2099, &found) && strcmp(found.name, "second") == 0);
  CHECK(!fk_guards_find(999, &found) && !fk_guards_find(1100, &found));
  fk_guards_change(number, FK_RELEASED);
  CHECK(fk_guards_find(1000, &found) && found.state == FK_RELEASED);
  fk_guards_remove(number);
  CHECK(!fk_guards_find(1000, &found) && fk_guards_find(2000, &found));
  CHECK(fk_guards_add(&first) == number);
}

static void test_a_full_table_says_so(void) {
  struct fk_guard found, guard;

  for (int i = 0; i < FK_MOST_GUARDS; i++) {
    guard = guard_at(1000u * (uintptr_t)(i + 1), "one of many");
    CHECK(fk_guards_add(&guard) == i);
  }
  CHECK(fk_guards_add(&guard) == -1);
  CHECK(fk_guards_find(1000u * FK_MOST_GUARDS, &found));
  fk_guards_remove(7);
  CHECK(fk_guards_add(&guard) == 7);
  CHECK(fk_guards_add(&guard) == -1);
}

static void test_an_access_is_described(void) {
  static const struct {
    uintptr_t address;
    enum fk_access access;
    enum fk_guard_state state;
    const char *text;
  } accesses[] = {
      {1060, FK_WRITE, FK_WRITABLE, "guarded buffer 'reply': write at offset 20, 1 byte past its end (size 20)"},
      {1062, FK_READ, FK_WRITABLE, "guarded buffer 'reply': read at offset 22, 3 bytes past its end (size 20)"},
      {1039, FK_UNKNOWN_ACCESS, FK_WRITABLE,
       "guarded buffer 'reply': access at offset -1, 1 byte before its start (size 20)"},
      {1041, FK_WRITE, FK_READONLY, "guarded buffer 'reply': write at offset 1, which is read-only (size 20)"},
      {1040, FK_EXECUTE, FK_RELEASED, "guarded buffer 'reply': execution at offset 0, after its release (size 20)"},
      {1060, FK_READ, FK_MOVED,
       "guarded buffer 'reply': read at offset 20, 1 byte past its end, of the memory that it had before it was "
       "resized "
       "(size 20)"},
  };
  struct fk_guard guard = guard_at(1000, "reply");
  char text[FK_DESCRIPTION];

  for (size_t i = 0; i < sizeof(accesses) / sizeof(*accesses); i++) {
    guard.state = accesses[i].state;
    CHECK(fk_guard_describe(&guard, accesses[i].address, accesses[i].access, text) == strlen(accesses[i].text));
    CHECK(strcmp(text, accesses[i].text) == 0);
  }
  memset(guard.name, '\n', sizeof(guard.name) - 1);
  guard.size = guard.data = SIZE_MAX;
  guard.state = FK_MOVED;
  CHECK(fk_guard_describe(&guard, 0, FK_UNKNOWN_ACCESS, text) == strlen(text));
  CHECK(strlen(text) < FK_DESCRIPTION && strchr(text, '\n') == NULL && strstr(text, "(size 18446744073709551615)"));
}

enum { THREADS = 4, ROUNDS = 2000 };
static atomic_int done;

/* Enters guards whose fields all tell the same number. */
static void *come_and_go(void *argument) {
  uintptr_t own = (uintptr_t)argument;

  for (uintptr_t round = 0; round < ROUNDS; round++) {
    uintptr_t number = own * ROUNDS + round;
    struct fk_guard guard = {.low = 1, .high = UINTPTR_MAX, .data = number, .size = number};
    snprintf(guard.name, sizeof(guard.name), "%zu", (size_t)number);
    int slot = fk_guards_add(&guard);
    CHECK(slot >= 0);
    fk_guards_remove(slot);
  }
  done++;
  return NULL;
}

static void test_no_half_of_an_entry_is_seen(void) {
  pthread_t threads[THREADS];
  struct fk_guard found;

  for (size_t i = 0; i < THREADS; i++)
    CHECK(pthread_create(&threads[i], NULL, come_and_go, (void *)i) == 0);
  while (done < THREADS) {
    if (fk_guards_find(1000, &found))
      CHECK(found.data == found.size && strtoull(found.name, NULL, 10) == found.size);
  }
  for (size_t i = 0; i < THREADS; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(!fk_guards_find(1000, &found));
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"find", test_what_was_entered_is_found},
      {"full", test_a_full_table_says_so},
      {"descriptions", test_an_access_is_described},
      {"threads", test_no_half_of_an_entry_is_seen},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
