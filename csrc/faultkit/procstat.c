/* Threads, processes and memory, from the texts that the kernel has of them in /proc. */
#include "procstat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool fk_read_task(const char *text, size_t size, struct fk_task *task) {
  const char *open = memchr(text, '(', size);
  const char *close = memrchr(text, ')', size); /* a name may have parentheses itself */
  if (open == NULL || close == NULL || close < open || sscanf(close, ") %c %ld", &task->state, &task->parent) != 2) {
    return false;
  }
  task->name = open + 1;
  task->name_size = (size_t)(close - open - 1);
  return true;
}

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* By permissions, such as "rw-p", and name, which ends with the line. */
static enum fk_backing backing_of(const char *permissions, const char *name) {
  bool named = *name != '\0' && *name != '\n';
  if (starts_with(permissions, "---")) {
    return FK_RESERVED;
  }
  if (permissions[3] == 's') {
    return FK_SHARED;
  }
  if (!named || starts_with(name, "[anon")) {
    return FK_ANONYMOUS;
  }
  if (starts_with(name, "[heap]")) {
    return FK_HEAP;
  }
  if (starts_with(name, "[stack")) {
    return FK_STACK;
  }
  return *name == '[' ? FK_SPECIAL : FK_BACKED_BY_FILE;
}

/* (No sscanf() in loops: it measures the whole rest of the text each time.) */
bool fk_count_mappings(const char *text, struct fk_mappings *mappings) {
  *mappings = (struct fk_mappings){0};
  while (*text != '\0') {
    const char *end = text + strcspn(text, "\n");
    char *at;
    uint64_t from = strtoull(text, &at, 16);
    if (*at != '-') {
      return false;
    }
    uint64_t to = strtoull(at + 1, &at, 16);
    const char *permissions = at + 1;
    if (*at != ' ' || to < from || end - permissions < 5) {
      return false;
    }
    const char *name = permissions;
    for (int field = 0; field < 4; field++) { /* permissions, offset, device, inode */
      name += strcspn(name, " \n");
      name += strspn(name, " ");
    }
    enum fk_backing backing = backing_of(permissions, name);
    mappings->count[backing]++;
    mappings->bytes[backing] += to - from;
    text = *end == '\0' ? end : end + 1;
  }
  return true;
}

int64_t fk_find_bytes(const char *text, const char *name) {
  size_t size = strlen(name);
  for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, name, size) == 0 && line[size] == ':') {
      char *end;
      long long kilobytes = strtoll(line + size + 1, &end, 10);
      return strncmp(end, " kB", 3) == 0 ? kilobytes * 1024 : -1;
    }
  }
  return -1;
}
