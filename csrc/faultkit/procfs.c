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
#define FIRST_CAPACITY 4096

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

/* Read on until the end. Returns the memory, which may have moved; or NULL with errno set, and it is freed. */
static char *read_to_end(int file, size_t *size) {
  size_t capacity = FIRST_CAPACITY;
  char *text = malloc(capacity);
  *size = 0;
  while (text != NULL) {
    if (*size + 1 == capacity) {
      char *larger = capacity > SIZE_MAX / 2 ? NULL : realloc(text, 2 * capacity);
      if (larger == NULL) {
        free(text);
        errno = ENOMEM;
        return NULL;
      }
      text = larger;
      capacity *= 2;
    }
    ssize_t got = read(file, text + *size, capacity - 1 - *size);
    if (got < 0 && errno != EINTR) {
      int reason = errno;
      free(text);
      errno = reason;
      return NULL;
    }
    if (got == 0) {
      text[*size] = '\0';
      break;
    }
    *size += got > 0 ? (size_t)got : 0;
  }
  return text;
}

char *fk_read_whole(const char *path, size_t *size) {
  size_t ignored;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return NULL;
  }
  char *text = read_to_end(file, size == NULL ? &ignored : size);
  int reason = errno;
  close(file);
  errno = reason;
  return text;
}
