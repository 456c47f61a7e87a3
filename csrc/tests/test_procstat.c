/* The texts of /proc about threads, processes and memory: usual ones, odd ones, cut ones. */

#include <sys/mman.h>

#include "cases.h"
#include "procfs.h"
#include "procstat.h"

static bool read_task(const char *text, struct fk_task *task) { return fk_read_task(text, strlen(text), task); }

static void test_a_task_has_name_state_and_parent(void) {
  struct fk_task task;

  CHECK(read_task("17 (sleep) S 4 17 4 0", &task));
  CHECK(task.name_size == 5 && memcmp(task.name, "sleep", 5) == 0);
  CHECK(task.state == 'S' && task.parent == 4);
}

static void test_a_name_can_be_anything(void) {
  struct fk_task task;

  CHECK(read_task("17 () R 1 (\n\xff) Z 99 17", &task));
  CHECK(task.name_size == 9 && memcmp(task.name, ") R 1 (\n\xff", 9) == 0);
  CHECK(task.state == 'Z' && task.parent == 99);
  CHECK(read_task("17 () R 1 0", &task));
  CHECK(task.name_size == 0);
}

static void test_no_task_is_read_from_half_a_text(void) {
  static const char whole[] = "17 (sleep) S 4";
  struct fk_task task;

  for (size_t size = 0; size < sizeof(whole) - 1; size++) {
    char *part = calloc(1, size + 1); /* exactly: a sanitizer sees what goes beyond */
    CHECK(part != NULL);
    memcpy(part, whole, size);
    CHECK(!fk_read_task(part, size, &task));
    free(part);
  }
  CHECK(!read_task(")17(", &task));
}

static void test_mappings_are_counted_by_kind(void) {
  static const char text[] = "1000-3000 r-xp 00000000 fe:00 247278    /usr/bin/with [heap] in it\n"
                             "4000-5000 rw-p 00000000 00:00 0         [heap]\n"
                             "5000-6000 rw-p 00000000 00:00 0 \n"
                             "6000-8000 ---p 00000000 00:00 0\n"
                             "8000-9000 rw-s 00000000 00:01 1179      /memfd:x (deleted)\n"
                             "9000-a000 rw-p 00000000 00:00 0         [stack]\n"
                             "a000-b000 rw-p 00000000 00:00 0         [anon:named]\n"
                             "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]";
  struct fk_mappings counted;

  CHECK(fk_count_mappings(text, &counted));
  CHECK(counted.count[FK_BACKED_BY_FILE] == 1 && counted.bytes[FK_BACKED_BY_FILE] == 0x2000);
  CHECK(counted.count[FK_HEAP] == 1 && counted.count[FK_STACK] == 1);
  CHECK(counted.count[FK_ANONYMOUS] == 2 && counted.bytes[FK_ANONYMOUS] == 0x2000);
  CHECK(counted.count[FK_RESERVED] == 1 && counted.bytes[FK_RESERVED] == 0x2000);
  CHECK(counted.count[FK_SHARED] == 1 && counted.count[FK_SPECIAL] == 1);
  CHECK(fk_count_mappings("", &counted) && counted.count[FK_ANONYMOUS] == 0);
}

static void test_other_texts_are_no_mappings(void) {
  static const char *const texts[] = {
      "nothing", "1000", "1000-", "1000-2000", "1000-2000 rw", "2000-1000 rw-p 0 0:0 0 ", "\n"};
  struct fk_mappings counted;

  for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
    CHECK(!fk_count_mappings(texts[i], &counted));
}

static void test_bytes_are_found_by_name(void) {
  static const char text[] = "Name:\tVmRSS\nVmHWMs:\t1 kB\nVmHWM:\t    2112 kB\nVmRSS:\t 7 pages\n";

  CHECK(fk_find_bytes(text, "VmHWM") == 2112 * 1024);
  CHECK(fk_find_bytes(text, "VmRSS") == -1);
  CHECK(fk_find_bytes(text, "VmPeak") == -1);
}

static int count_entries(long number, int directory, void *context) {
  (void)number;
  (void)directory;
  return ++*(int *)context == 3 ? 7 : 0;
}

static void test_proc_is_read_whole(void) {
  struct fk_mappings counted;
  struct fk_task task;
  size_t size;
  int entries = 0;
  char *text = fk_read_whole("/proc/self/stat", &size);

  CHECK(text != NULL && strlen(text) == size && fk_read_task(text, size, &task));
  free(text);
  for (int i = 0; i < 2000; i++) /* a text of many pages */
    CHECK(mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
  text = fk_read_whole("/proc/self/maps", &size);
  CHECK(text != NULL && strlen(text) == size && fk_count_mappings(text, &counted));
  CHECK(counted.count[FK_ANONYMOUS] + counted.count[FK_RESERVED] >= 1900);
  free(text);
  CHECK(fk_read_whole("/proc/self/no such file", &size) == NULL);
  CHECK(fk_walk("/proc/self/fd", count_entries, &entries) == 7 && entries == 3);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"task", test_a_task_has_name_state_and_parent},
      {"names", test_a_name_can_be_anything},
      {"cut", test_no_task_is_read_from_half_a_text},
      {"mappings", test_mappings_are_counted_by_kind},
      {"no_mappings", test_other_texts_are_no_mappings},
      {"bytes", test_bytes_are_found_by_name},
      {"proc", test_proc_is_read_whole},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
