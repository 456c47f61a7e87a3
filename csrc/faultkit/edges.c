/* The kernel tells in /proc what an epoll instance polls; to set the same again makes it look anew. */
#include "edges.h"

#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CHUNK 4096

/* A line: "tfd:        5 events: 80000019 data:                5  pos:0 ino:3 sdev:8" (data in hexadecimal). */
static void renew_line(int instance, int descriptor, const char *line) {
  static const char *const names[] = {"tfd:", "events:", "data:"};
  unsigned long long values[3];
  for (int i = 0; i < 3; i++) {
    const char *at = strstr(line, names[i]);
    if (at == NULL) {
      return;
    }
    values[i] = strtoull(at + strlen(names[i]), NULL, i == 0 ? 10 : 16);
  }
  struct epoll_event event = {.events = (uint32_t)values[1], .data.u64 = values[2]};
  if ((int)values[0] == descriptor && (event.events & EPOLLET) != 0) {
    (void)epoll_ctl(instance, EPOLL_CTL_MOD, descriptor, &event);
  }
}

static void renew_instance(int instance, int descriptor) {
  char path[48];
  char text[CHUNK + 1];
  size_t kept = 0;
  ssize_t got;
  (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", instance);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return;
  }
  while ((got = read(file, text + kept, CHUNK - kept)) > 0) {
    char *line = text;
    char *end;
    text[kept + (size_t)got] = '\0';
    while ((end = strchr(line, '\n')) != NULL) {
      *end = '\0';
      renew_line(instance, descriptor, line);
      line = end + 1;
    }
    kept = strlen(line);
    memmove(text, line, kept);
  }
  close(file);
}

static int visit(long number, int directory, void *context) {
  char name[24];
  char target[64];
  (void)snprintf(name, sizeof name, "%ld", number);
  ssize_t size = readlinkat(directory, name, target, sizeof target - 1);
  target[size < 0 ? 0 : size] = '\0';
  if (strstr(target, "[eventpoll]") != NULL) {
    renew_instance((int)number, *(const int *)context);
  }
  return 0;
}

void fk_edges_renew(int descriptor) { (void)fk_walk("/proc/self/fd", visit, &descriptor); }
