/* Threads, processes and memory, from the texts that the kernel has of them in /proc. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_PROCSTAT_H
#define LOOPPROOF_FAULTKIT_PROCSTAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a stat file tells: of /proc/PID or /proc/self/task/TID. */
struct fk_task {
  const char *name; /* inside the text; any bytes but NUL */
  size_t name_size;
  char state; /* 'R', 'S', ...: see proc(5) */
  long parent;
};

/* What a mapping is backed by. */
enum fk_backing { FK_ANONYMOUS, FK_HEAP, FK_STACK, FK_BACKED_BY_FILE, FK_SHARED, FK_RESERVED, FK_SPECIAL, FK_BACKINGS };

struct fk_mappings {
  size_t count[FK_BACKINGS];
  uint64_t bytes[FK_BACKINGS];
};

/* Returns false if the text is none of a stat file. */
bool fk_read_task(const char *text, size_t size, struct fk_task *task);

/* Count the mappings in the text of a maps file. Returns false if a line is none of such a file. */
bool fk_count_mappings(const char *text, struct fk_mappings *mappings);

/* Find a line "NAME:  NUMBER kB" in the text of a status file. Returns the number in bytes, or -1. */
int64_t fk_find_bytes(const char *text, const char *name);

#endif
