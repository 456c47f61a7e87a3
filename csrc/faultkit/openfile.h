/* What a descriptor is open on, as the kernel tells it. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_OPENFILE_H
#define LOOPPROOF_FAULTKIT_OPENFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define FK_KIND_SIZE 32

/* Which open file it is. The kernel has one inode for all of eventfd, epoll and their like, which differ by kind only.
 */
struct fk_identity {
  char kind[FK_KIND_SIZE]; /* "file", "directory", "device", "socket", "pipe", "symlink"; "epoll", "eventfd", ... */
  dev_t device;
  ino_t inode;
};

struct fk_socket {
  int family;
  int type;
  bool listening;
  struct sockaddr_storage local;
  struct sockaddr_storage remote;
  socklen_t local_size;  /* 0: not bound, or not to be told */
  socklen_t remote_size; /* 0: not connected */
};

struct fk_watched {
  int descriptor;
  ino_t inode;
};

/* Returns 0, or -1 with errno set: EBADF if it is not open. */
int fk_identify(int descriptor, struct fk_identity *identity);

/* The kernel's words for it: a path, "socket:[INODE]". Returns their size, without a NUL; or -1 with errno set. */
ssize_t fk_target(int descriptor, char *text, size_t size);

/* Ask about a socket. Returns 0, or -1 with errno set. */
int fk_ask_socket(int descriptor, struct fk_socket *result);

/* Read what an epoll set watches from the text of /proc/self/fdinfo/NUMBER: one entry after the other, from `*text`,
 * which is moved on. Returns false if there is none left. */
bool fk_next_watched(const char **text, struct fk_watched *watched);

#endif
