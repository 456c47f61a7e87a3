/* Reading /proc without the C library's directory streams. */
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 16384

/* What getdents64 writes: see getdents(2). */
struct entry {
  uint64_t inode;
  int64_t offset;
  uint16_t size;
  uint8_t type;
  char name[];
};

/* `skipped`: a number that is passed over. */
static int visit_all(const char *entries, long size, int directory, long skipped, fk_visitor *visit, void *context) {
  const struct entry *entry;
  for (long at = 0; at < size; at += entry->size) {
    entry = (const struct entry *)(const void *)(entries + at);
    char *end;
    long number = strtol(entry->name, &end, 10);
    if (*end != '\0' || end == entry->name || number == skipped) {
      continue;
    }
    int outcome = visit(number, directory, context);
    if (outcome != 0) {
      return outcome;
    }
  }
  return 0;
}

int fk_walk(const char *path, fk_visitor *visit, void *context) {
  _Alignas(struct entry) char entries[ENTRIES];
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  long skipped = strcmp(path, "/proc/self/fd") == 0 ? directory : -1;
  int outcome = 0;
  if (directory < 0) {
    return -1;
  }
  while (outcome == 0) {
    long size = syscall(SYS_getdents64, directory, entries, sizeof entries);
    if (size <= 0) {
      outcome = size < 0 ? -1 : 0;
      break;
    }
    outcome = visit_all(entries, size, directory, skipped, visit, context);
  }
  int reason = errno;
  close(directory);
  errno = reason;
  return outcome;
}

ssize_t fk_read_file(const char *path, char *text, size_t size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return -1;
  }
  size_t done = 0;
  ssize_t got = 0;
  while (done < size - 1 && (got = read(file, text + done, size - 1 - done)) > 0) {
    done += (size_t)got;
  }
  int reason = errno;
  close(file);
  errno = reason;
  text[done] = '\0';
  return got < 0 ? -1 : (ssize_t)done;
}
