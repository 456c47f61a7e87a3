/* Verbs that make, choose, set up and end connections. */
#include "actions.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

/* Select what is made from now on. */
static void select_new(struct fk_peer *peer) {
  peer->first = peer->made;
  peer->selected = 0;
}

static void add(struct fk_peer *peer, struct fk_endpoint endpoint) {
  peer->connections[peer->made++] = endpoint;
  peer->selected++;
}

static enum fk_state accept_one(struct fk_peer *peer) {
  for (;;) {
    struct fk_endpoint accepted;
    enum fk_state state = fk_peer_await(peer, peer->listener.descriptor, POLLIN);
    if (state != FK_DONE) {
      return state;
    }
    if (fk_endpoint_accept(&accepted, &peer->listener) == 0) {
      add(peer, accepted);
      return FK_DONE;
    }
    if (!would_block(errno) && errno != EINTR && errno != ECONNABORTED) {
      return fk_peer_fail(peer, "accepting: %s", strerror(errno));
    }
  }
}

enum fk_state fk_do_accept(struct fk_peer *peer, const struct fk_step *step) {
  enum fk_state state = FK_DONE;
  select_new(peer);
  while (state == FK_DONE && peer->selected < step->count) {
    state = accept_one(peer);
  }
  return state;
}

/* Begin to connect a new socket to an address. A UNIX socket whose listener has no room cannot wait for it in any other
 * way than to try again. */
static enum fk_state begin_connect(struct fk_peer *peer, const struct fk_step *step, const struct fk_address *address) {
  struct fk_endpoint endpoint;
  enum fk_state state = fk_peer_check(peer);
  if (state != FK_DONE) {
    return state;
  }
  if (fk_endpoint_make(&endpoint, address, step->type, &step->local, &step->buffers) < 0) {
    return fk_peer_fail(peer, "making a socket: %s", strerror(errno));
  }
  add(peer, endpoint);
  while (connect(endpoint.descriptor, (const struct sockaddr *)&address->value, address->size) < 0) {
    if (errno == EINPROGRESS) {
      return FK_DONE;
    }
    if (!would_block(errno) || address->value.ss_family != AF_UNIX) {
      return fk_peer_fail(peer, "connecting: %s", strerror(errno));
    }
    state = fk_peer_sleep(peer, fk_now() + FK_RETRY);
    if (state != FK_DONE) {
      return state;
    }
  }
  return FK_DONE;
}

static enum fk_state await_connect(struct fk_peer *peer, const struct fk_endpoint *endpoint) {
  int error = 0;
  socklen_t size = sizeof error;
  enum fk_state state = fk_peer_await(peer, endpoint->descriptor, POLLOUT);
  if (state != FK_DONE) {
    return state;
  }
  if (getsockopt(endpoint->descriptor, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
    error = errno;
  }
  return error == 0 ? FK_DONE : fk_peer_fail(peer, "connecting: %s", strerror(error));
}

/* All are begun before the first is waited for: a storm, not a queue. */
enum fk_state fk_do_connect(struct fk_peer *peer, const struct fk_step *step) {
  struct fk_address address = step->address;
  enum fk_state state = FK_DONE;
  if (address.size == 0) {
    address.size = sizeof address.value;
    if (getsockname(peer->listener.descriptor, (struct sockaddr *)&address.value, &address.size) < 0) {
      return fk_peer_fail(peer, "finding the own address: %s", strerror(errno));
    }
  }
  select_new(peer);
  while (state == FK_DONE && peer->selected < step->count) {
    state = begin_connect(peer, step, &address);
  }
  for (size_t i = 0; state == FK_DONE && i < peer->selected; i++) {
    state = await_connect(peer, &peer->connections[peer->first + i]);
  }
  return state;
}

enum fk_state fk_do_use(struct fk_peer *peer, const struct fk_step *step) {
  peer->first = (size_t)step->first;
  peer->selected = (size_t)step->count;
  return FK_DONE;
}

enum fk_state fk_do_unlisten(struct fk_peer *peer, const struct fk_step *step) {
  (void)step;
  fk_endpoint_close(&peer->listener);
  return FK_DONE;
}

enum fk_state fk_do_buffers(struct fk_peer *peer, const struct fk_step *step) {
  if (fk_set_buffers(peer->connection->descriptor, &step->buffers) < 0) {
    return fk_peer_fail(peer, "setting the size of a buffer: %s", strerror(errno));
  }
  return FK_DONE;
}

enum fk_state fk_do_shutdown(struct fk_peer *peer, const struct fk_step *step) {
  (void)step;
  if (shutdown(peer->connection->descriptor, SHUT_WR) < 0) {
    return fk_peer_fail(peer, "shutting down: %s", strerror(errno));
  }
  return FK_DONE;
}

enum fk_state fk_do_close(struct fk_peer *peer, const struct fk_step *step) {
  (void)step;
  fk_endpoint_close(peer->connection);
  return FK_DONE;
}

enum fk_state fk_do_reset(struct fk_peer *peer, const struct fk_step *step) {
  (void)step;
  fk_endpoint_reset(peer->connection);
  return FK_DONE;
}
