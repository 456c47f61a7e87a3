/* Descriptors of peers: duplicating, classifying, taking over, closing. */
#include "endpoint.h"

#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

int fk_duplicate_high(int descriptor) {
  int high = fcntl(descriptor, F_DUPFD_CLOEXEC, FK_FIRST_DESCRIPTOR);
  if (high < 0 && (errno == EINVAL || errno == EMFILE)) {
    high = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  }
  return high;
}

int fk_move_high(int descriptor) {
  if (descriptor < 0) {
    return -1;
  }
  int high = fk_duplicate_high(descriptor);
  int reason = errno;
  close(descriptor);
  errno = reason;
  return high;
}

static int make_non_blocking(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}

static int option(int descriptor, int name, int *value) {
  socklen_t size = sizeof *value;
  return getsockopt(descriptor, SOL_SOCKET, name, value, &size);
}

/* Find out what an open descriptor is. Returns 0, or -1 and sets errno. */
static int classify(int descriptor, enum fk_kind *kind) {
  int type;
  int listening;
  if (option(descriptor, SO_TYPE, &type) < 0) {
    *kind = FK_FILE;
    return errno == ENOTSOCK ? 0 : -1;
  }
  if (option(descriptor, SO_ACCEPTCONN, &listening) == 0 && listening) {
    *kind = FK_LISTENER;
  } else {
    *kind = type == SOCK_STREAM ? FK_STREAM : type == SOCK_SEQPACKET ? FK_PACKETS : FK_DATAGRAM;
  }
  return 0;
}

/* Best effort: sockets that are not TCP do not know the option. */
static void send_small_segments_at_once(int descriptor) {
  int on = 1;
  (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int fk_endpoint_adopt(struct fk_endpoint *endpoint, int descriptor) {
  int own = fk_duplicate_high(descriptor);
  if (own < 0) {
    return -1;
  }
  enum fk_kind kind = FK_NOTHING;
  bool must_not_block;
  if (classify(own, &kind) < 0) {
    goto failed;
  }
  must_not_block = kind == FK_LISTENER || kind == FK_FILE;
  if (must_not_block && make_non_blocking(own) < 0) {
    goto failed;
  }
  if (kind == FK_STREAM) {
    send_small_segments_at_once(own);
  }
  *endpoint = (struct fk_endpoint){.descriptor = own, .kind = kind};
  return 0;

failed:;
  int reason = errno;
  close(own);
  errno = reason;
  return -1;
}

int fk_endpoint_take(struct fk_endpoint *endpoint, int descriptor) {
  int own = fk_move_high(descriptor);
  enum fk_kind kind;
  if (own < 0) {
    return -1;
  }
  if (classify(own, &kind) < 0) {
    int reason = errno;
    close(own);
    errno = reason;
    return -1;
  }
  send_small_segments_at_once(own);
  *endpoint = (struct fk_endpoint){.descriptor = own, .kind = kind};
  return 0;
}

int fk_endpoint_accept(struct fk_endpoint *endpoint, const struct fk_endpoint *listener) {
  int accepted = accept4(listener->descriptor, NULL, NULL, SOCK_CLOEXEC);
  return accepted < 0 ? -1 : fk_endpoint_take(endpoint, accepted);
}

bool fk_keeps_boundaries(const struct fk_endpoint *endpoint) {
  return endpoint->kind == FK_DATAGRAM || endpoint->kind == FK_PACKETS;
}

int fk_set_buffers(int descriptor, const struct fk_buffers *buffers) {
  const int names[] = {SO_RCVBUF, SO_SNDBUF};
  const int sizes[] = {buffers->receive, buffers->send};
  for (int i = 0; i < 2; i++) {
    if (sizes[i] > 0 && setsockopt(descriptor, SOL_SOCKET, names[i], &sizes[i], sizeof sizes[i]) < 0) {
      return -1;
    }
  }
  return 0;
}

void fk_endpoint_close(struct fk_endpoint *endpoint) {
  if (endpoint->descriptor >= 0) {
    close(endpoint->descriptor);
  }
  fk_tls_end(endpoint->tls);
  *endpoint = (struct fk_endpoint){.descriptor = -1};
}

void fk_endpoint_reset(struct fk_endpoint *endpoint) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
  if (endpoint->kind == FK_STREAM) {
    (void)setsockopt(endpoint->descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)connect(endpoint->descriptor, &nowhere, sizeof nowhere); /* resets also where duplicates are open */
  }
  fk_endpoint_close(endpoint);
}
