/* What a descriptor is open on, as the kernel tells it. */
#include "openfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char anonymous[] = "anon_inode:";

/* The kind of what has no type of file, from the kernel's words for it: "anon_inode:[eventpoll]", "anon_inode:inotify".
 */
static void name_anonymous(const char *target, size_t size, char *kind) {
  size_t start =
      size >= sizeof anonymous - 1 && memcmp(target, anonymous, sizeof anonymous - 1) == 0 ? sizeof anonymous - 1 : 0;
  size_t end = size;
  if (start < end && target[start] == '[' && target[end - 1] == ']') {
    start++;
    end--;
  }
  (void)snprintf(kind, FK_KIND_SIZE, "%.*s", (int)(end - start), target + start);
  if (strcmp(kind, "eventpoll") == 0) {
    (void)snprintf(kind, FK_KIND_SIZE, "epoll");
  }
}

static const char *name_of_type(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG:
    return "file";
  case S_IFDIR:
    return "directory";
  case S_IFCHR:
  case S_IFBLK:
    return "device";
  case S_IFIFO:
    return "pipe";
  case S_IFSOCK:
    return "socket";
  case S_IFLNK:
    return "symlink";
  default:
    return NULL;
  }
}

int fk_identify(int descriptor, struct fk_identity *identity) {
  struct stat status;
  if (fstat(descriptor, &status) < 0) {
    return -1;
  }
  const char *kind = name_of_type(status.st_mode);
  if (kind != NULL) {
    (void)snprintf(identity->kind, sizeof identity->kind, "%s", kind);
  } else {
    char target[PATH_MAX];
    ssize_t size = fk_target(descriptor, target, sizeof target);
    if (size < 0) {
      return -1;
    }
    name_anonymous(target, (size_t)size, identity->kind);
  }
  identity->device = status.st_dev;
  identity->inode = status.st_ino;
  return 0;
}

ssize_t fk_target(int descriptor, char *text, size_t size) {
  char path[40];
  (void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  ssize_t got = readlink(path, text, size);
  if (got < 0 && errno == ENOENT) {
    int known = errno;
    errno = fstat(descriptor, &(struct stat){0}) < 0 ? EBADF : known;
  }
  return got;
}

int fk_ask_socket(int descriptor, struct fk_socket *result) {
  int listening = 0;
  socklen_t size = sizeof(int);
  *result = (struct fk_socket){.family = AF_UNSPEC};
  if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &result->family, &size) < 0 ||
      getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &result->type, &size) < 0) {
    return -1;
  }
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0) {
    result->listening = listening != 0;
  }
  result->local_size = sizeof result->local;
  if (getsockname(descriptor, (struct sockaddr *)&result->local, &result->local_size) < 0) {
    result->local_size = 0;
  }
  result->remote_size = sizeof result->remote;
  if (getpeername(descriptor, (struct sockaddr *)&result->remote, &result->remote_size) < 0) {
    result->remote_size = 0;
  }
  return 0;
}

bool fk_next_watched(const char **text, struct fk_watched *watched) {
  for (const char *line = *text, *next; *line != '\0'; line = next) {
    const char *end = line + strcspn(line, "\n");
    const char *inode = memmem(line, (size_t)(end - line), " ino:", 5);
    next = *end == '\0' ? end : end + 1;
    if (strncmp(line, "tfd:", 4) == 0 && inode != NULL) {
      watched->descriptor = (int)strtol(line + 4, NULL, 10);
      watched->inode = (ino_t)strtoull(inode + 5, NULL, 16);
      *text = next;
      return true;
    }
  }
  return false;
}
