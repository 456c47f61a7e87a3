/* How a peer waits: for a descriptor, for a time, for a release; never past its deadline, never past a stop. */
#include "actions.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum fk_state fk_peer_check(struct fk_peer *peer) {
  if (atomic_load(&peer->stopping)) {
    return FK_STOPPED;
  }
  return fk_now() >= peer->deadline ? FK_LATE : FK_DONE;
}

/* One poll of a descriptor (-1: none) and the wake-up, until `until` or the deadline of the peer.
 * Returns FK_DONE with `*happened` telling whether the descriptor has events; it has none after a wake-up or a timeout.
 */
static enum fk_state poll_once(struct fk_peer *peer, int descriptor, short events, int64_t until, bool *happened) {
  struct pollfd watched[] = {{.fd = descriptor, .events = events}, {.fd = peer->wake, .events = POLLIN}};
  enum fk_state state = fk_peer_check(peer);
  *happened = false;
  if (state != FK_DONE) {
    return state;
  }
  int64_t left = (until < peer->deadline ? until : peer->deadline) - fk_now();
  left = left < 0 ? 0 : left;
  struct timespec limit = {.tv_sec = (time_t)(left / FK_SECOND), .tv_nsec = (long)(left % FK_SECOND)};
  if (ppoll(watched, 2, &limit, NULL) < 0) {
    return errno == EINTR ? FK_DONE : fk_peer_fail(peer, "poll: %s", strerror(errno));
  }
  if (watched[1].revents != 0) {
    uint64_t count;
    ssize_t got = read(peer->wake, &count, sizeof count);
    (void)got; /* nothing there: another wake-up will come */
  }
  *happened = watched[0].revents != 0;
  return FK_DONE;
}

enum fk_state fk_peer_await(struct fk_peer *peer, int descriptor, short events) {
  bool happened = false;
  enum fk_state state = FK_DONE;
  while (state == FK_DONE && !happened) {
    state = poll_once(peer, descriptor, events, INT64_MAX, &happened);
  }
  return state;
}

enum fk_state fk_peer_await_until(struct fk_peer *peer, int descriptor, short events, int64_t until, bool *happened) {
  enum fk_state state;
  do {
    state = poll_once(peer, descriptor, events, until, happened);
  } while (state == FK_DONE && !*happened && fk_now() < until);
  return state;
}

enum fk_state fk_peer_sleep(struct fk_peer *peer, int64_t until) {
  bool happened;
  return fk_peer_await_until(peer, -1, 0, until, &happened);
}

enum fk_state fk_do_pause(struct fk_peer *peer, const struct fk_step *step) {
  return fk_peer_sleep(peer, fk_now() + step->pause);
}

static bool use_permit(struct fk_peer *peer) {
  pthread_mutex_lock(&peer->lock);
  bool permitted = peer->permits > 0;
  peer->permits -= permitted;
  pthread_mutex_unlock(&peer->lock);
  return permitted;
}

enum fk_state fk_do_hold(struct fk_peer *peer, const struct fk_step *step) {
  (void)step;
  bool happened;
  enum fk_state state = FK_DONE;
  while (state == FK_DONE && !use_permit(peer)) {
    state = poll_once(peer, -1, 0, INT64_MAX, &happened);
  }
  return state;
}
