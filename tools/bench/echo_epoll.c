/* An echo server on epoll alone: what the kernel allows. Prints its port or path once it listens; runs until killed.
 *
 * usage: echo_epoll ADDRESS    (port 0: any free one) */
#include "address.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BUFFER ((size_t)256 * 1024)
#define EVENTS 256

struct connection {
  int descriptor;
  size_t held; /* received and not yet sent: the first bytes of the buffer */
  char *buffer;
};

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static void watch(int epoll, int operation, int descriptor, uint32_t events, void *data) {
  struct epoll_event event = {.events = events, .data.ptr = data};
  if (epoll_ctl(epoll, operation, descriptor, &event) < 0) {
    fail("epoll_ctl");
  }
}

static void accept_one(int epoll, int listener) {
  int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (descriptor < 0) {
    return;
  }
  struct connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) {
    fail("memory");
  }
  send_at_once(descriptor);
  connection->descriptor = descriptor;
  watch(epoll, EPOLL_CTL_ADD, descriptor, EPOLLIN, connection);
}

static void drop(struct connection *connection) {
  close(connection->descriptor);
  free(connection->buffer);
  free(connection);
}

/* Send `size` bytes, and keep what the kernel does not take. Tells whether the connection is alive. */
static bool answer(int epoll, struct connection *connection, const char *data, size_t size) {
  bool was_blocked = connection->held > 0;
  ssize_t sent = send(connection->descriptor, data, size, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) {
    return false;
  }
  size_t left = size - (sent > 0 ? (size_t)sent : 0);
  if (left > 0) {
    if (connection->buffer == NULL && (connection->buffer = malloc(BUFFER)) == NULL) {
      fail("memory");
    }
    memmove(connection->buffer, data + (size - left), left);
  }
  connection->held = left;
  if (was_blocked != (left > 0)) {
    watch(epoll, EPOLL_CTL_MOD, connection->descriptor, left > 0 ? EPOLLOUT : EPOLLIN, connection);
  }
  return true;
}

static bool serve(int epoll, struct connection *connection, char *buffer) {
  if (connection->held > 0) {
    return answer(epoll, connection, connection->buffer, connection->held);
  }
  ssize_t got = recv(connection->descriptor, buffer, BUFFER, 0);
  if (got <= 0) {
    return got < 0 && errno == EAGAIN;
  }
  return answer(epoll, connection, buffer, (size_t)got);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: echo_epoll ADDRESS\n");
    return 2;
  }
  struct address address = address_parse(argv[1]);
  int listener = socket(address.value.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  char *buffer = malloc(BUFFER);
  if (listener < 0 || epoll < 0 || buffer == NULL ||
      bind(listener, (struct sockaddr *)&address.value, address.size) < 0 || listen(listener, 128) < 0) {
    fail("listen");
  }
  if (address.value.ss_family == AF_INET) {
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    if (getsockname(listener, (struct sockaddr *)&name, &size) < 0) {
      fail("getsockname");
    }
    printf("%d\n", (int)ntohs(name.sin_port));
  } else {
    printf("%s\n", argv[1]);
  }
  (void)fflush(stdout);
  watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      struct connection *connection = events[i].data.ptr;
      if (connection == NULL) {
        accept_one(epoll, listener);
      } else if (!serve(epoll, connection, buffer)) {
        drop(connection);
      }
    }
  }
}
