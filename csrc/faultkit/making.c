/* Descriptors that peers make: listening, bound and connecting sockets, pairs, pipes, terminals. */
#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static void close_and_keep_errno(int descriptor) {
  int reason = errno;
  close(descriptor);
  errno = reason;
}

/* An address of this machine with a port or name that the kernel chooses. */
static struct fk_address any_local_address(int family) {
  struct fk_address address = {.value = {.ss_family = (sa_family_t)family}, .size = sizeof(sa_family_t)};
  if (family == AF_INET) {
    ((struct sockaddr_in *)&address.value)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.size = sizeof(struct sockaddr_in);
  } else if (family == AF_INET6) {
    ((struct sockaddr_in6 *)&address.value)->sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
    address.size = sizeof(struct sockaddr_in6);
  }
  return address;
}

/* Make a socket that does not block and bind it if `local` has a size. Returns it, or -1 and sets errno. */
static int make_socket(int family, int type, const struct fk_address *local, const struct fk_buffers *buffers) {
  int descriptor = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) {
    return -1;
  }
  if (fk_set_buffers(descriptor, buffers) < 0 ||
      (local->size > 0 && bind(descriptor, (const struct sockaddr *)&local->value, local->size) < 0)) {
    close_and_keep_errno(descriptor);
    return -1;
  }
  return descriptor;
}

int fk_endpoint_listen(struct fk_endpoint *endpoint, int family, int backlog, const struct fk_buffers *buffers) {
  struct fk_address local = any_local_address(family);
  int descriptor = make_socket(family, SOCK_STREAM, &local, buffers);
  if (descriptor < 0) {
    return -1;
  }
  if (listen(descriptor, backlog) < 0) {
    close_and_keep_errno(descriptor);
    return -1;
  }
  return fk_endpoint_take(endpoint, descriptor);
}

int fk_endpoint_bind(struct fk_endpoint *endpoint, int family, const struct fk_buffers *buffers) {
  struct fk_address local = any_local_address(family);
  int descriptor = make_socket(family, SOCK_DGRAM, &local, buffers);
  return descriptor < 0 ? -1 : fk_endpoint_take(endpoint, descriptor);
}

int fk_endpoint_make(struct fk_endpoint *endpoint, const struct fk_address *address, int type,
                     const struct fk_address *local, const struct fk_buffers *buffers) {
  int descriptor = make_socket(address->value.ss_family, type, local, buffers);
  return descriptor < 0 ? -1 : fk_endpoint_take(endpoint, descriptor);
}

/* Two connected TCP sockets, the first with these buffers. */
static int make_tcp_pair(int ends[2], const struct fk_buffers *buffers) {
  struct fk_address address = any_local_address(AF_INET);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ends[0] = ends[1] = -1;
  if (listener < 0 || bind(listener, (struct sockaddr *)&address.value, address.size) < 0 || listen(listener, 1) < 0 ||
      getsockname(listener, (struct sockaddr *)&address.value, &address.size) < 0) {
    goto failed;
  }
  ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (ends[0] < 0 || fk_set_buffers(ends[0], buffers) < 0 ||
      connect(ends[0], (struct sockaddr *)&address.value, address.size) < 0) {
    goto failed;
  }
  ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (ends[1] < 0) {
    goto failed;
  }
  close(listener);
  return 0;

failed:
  if (ends[0] >= 0) {
    close_and_keep_errno(ends[0]);
  }
  if (listener >= 0) {
    close_and_keep_errno(listener);
  }
  return -1;
}

static int make_socket_pair(int ends[2], int type, const struct fk_buffers *buffers) {
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0) {
    return -1;
  }
  if (fk_set_buffers(ends[0], buffers) < 0) {
    close_and_keep_errno(ends[0]);
    close_and_keep_errno(ends[1]);
    return -1;
  }
  return 0;
}

/* A master and its terminal, which passes all bytes on as they are. */
static int make_terminal(int ends[2]) {
  struct termios settings;
  ends[1] = -1;
  ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ends[0] < 0) {
    return -1;
  }
  if (grantpt(ends[0]) < 0 || unlockpt(ends[0]) < 0) {
    goto failed;
  }
  ends[1] = ioctl(ends[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ends[1] < 0 || tcgetattr(ends[1], &settings) < 0) {
    goto failed;
  }
  cfmakeraw(&settings);
  if (tcsetattr(ends[1], TCSANOW, &settings) < 0) {
    goto failed;
  }
  return 0;

failed:
  if (ends[1] >= 0) {
    close_and_keep_errno(ends[1]);
  }
  close_and_keep_errno(ends[0]);
  return -1;
}

static int make_ends(int ends[2], enum fk_pair pair, const struct fk_buffers *buffers) {
  switch (pair) {
  case FK_PAIR_TCP:
    return make_tcp_pair(ends, buffers);
  case FK_PAIR_UNIX:
    return make_socket_pair(ends, SOCK_STREAM, buffers);
  case FK_PAIR_DATAGRAM:
    return make_socket_pair(ends, SOCK_DGRAM, buffers);
  case FK_PAIR_PIPE_SOURCE:
  case FK_PAIR_PIPE_SINK:
    return pipe2(ends, O_CLOEXEC);
  case FK_PAIR_PTY_MASTER:
  case FK_PAIR_PTY_TERMINAL:
    return make_terminal(ends);
  }
  errno = EINVAL;
  return -1;
}

int fk_endpoint_pair(struct fk_endpoint *endpoint, enum fk_pair pair, int *other, const struct fk_buffers *buffers) {
  int ends[2];
  if (make_ends(ends, pair, buffers) < 0) {
    return -1;
  }
  bool is_second = pair == FK_PAIR_PIPE_SOURCE || pair == FK_PAIR_PTY_TERMINAL;
  *other = ends[is_second ? 0 : 1];
  int adopted = fk_endpoint_adopt(endpoint, ends[is_second ? 1 : 0]);
  close_and_keep_errno(ends[is_second ? 1 : 0]);
  if (adopted < 0) {
    close_and_keep_errno(*other);
    *other = -1;
  }
  return adopted;
}
