/* What the verbs of a script do. */
#include "pattern.h"
#include "peer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHOWN ((size_t)8)
#define SHIFT_SEARCH (UINT64_C(1) << 26)

/* How a receive ended. */
enum outcome { GOT, END, RESET, BROKEN };

static bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

/* Receive 1 to `size` bytes into the buffer (of a datagram maybe none). FK_DONE: `*outcome` says how it ended. */
static enum fk_state receive_some(struct fk_peer *peer, size_t size, size_t *got, enum outcome *outcome) {
  const struct fk_endpoint *from = &peer->connection;
  *got = 0;
  for (;;) {
    if (atomic_load(&peer->stopping)) {
      return FK_STOPPED;
    }
    ssize_t count = from->kind == FK_FILE ? read(from->descriptor, peer->buffer, size)
                                          : recv(from->descriptor, peer->buffer, size, MSG_DONTWAIT);
    if (count >= 0) {
      *got = (size_t)count;
      *outcome = count > 0 || from->kind == FK_DATAGRAM ? GOT : END;
      return FK_DONE;
    }
    if (errno == ECONNRESET) {
      *outcome = RESET;
      return FK_DONE;
    }
    if (errno == EIO && from->kind == FK_FILE) { /* a terminal whose other side is closed */
      *outcome = END;
      return FK_DONE;
    }
    if (!would_block(errno) && errno != EINTR) {
      *outcome = BROKEN;
      return fk_peer_fail(peer, "receiving: %s", strerror(errno));
    }
    enum fk_state state = fk_peer_await(peer, from->descriptor, POLLIN);
    if (state != FK_DONE) {
      return state;
    }
  }
}

/* Send all of it; one message where the kind keeps boundaries. */
static enum fk_state send_all(struct fk_peer *peer, const uint8_t *data, size_t size) {
  const struct fk_endpoint *to = &peer->connection;
  do {
    if (atomic_load(&peer->stopping)) {
      return FK_STOPPED;
    }
    ssize_t count = to->kind == FK_FILE ? write(to->descriptor, data, size)
                                        : send(to->descriptor, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      fk_peer_count(peer, (size_t)count);
      data += count;
      size -= (size_t)count;
    } else if (would_block(errno) || errno == EINTR) {
      enum fk_state state = fk_peer_await(peer, to->descriptor, POLLOUT);
      if (state != FK_DONE) {
        return state;
      }
    } else {
      return fk_peer_fail(peer, "sending: %s", strerror(errno));
    }
  } while (size > 0);
  return FK_DONE;
}

static const char *name_of(enum outcome outcome) {
  return outcome == RESET ? "a reset of the connection" : "the end of the stream";
}

/* Write up to SHOWN bytes in hexadecimal to `text`. */
static void show(char text[3 * SHOWN + 1], const uint8_t *data, size_t size) {
  text[0] = '\0';
  for (size_t i = 0; i < size && i < SHOWN; i++) {
    (void)snprintf(text + 3 * i, 4, i + 1 < size && i + 1 < SHOWN ? "%02x " : "%02x", data[i]);
  }
}

/* The sizes of pieces: the step's chunks in turn, then again from the first; without any, as much as is left. */
static uint64_t next_chunk(const struct fk_step *step, size_t *turn, uint64_t left) {
  if (step->chunks.count == 0) {
    return left;
  }
  uint64_t chunk = step->chunks.values[*turn];
  *turn = (*turn + 1) % step->chunks.count;
  return chunk < left ? chunk : left;
}

static enum fk_state pause_between(struct fk_peer *peer, const struct fk_step *step, uint64_t left) {
  return step->pause > 0 && left > 0 ? fk_peer_sleep(peer, fk_now() + step->pause) : FK_DONE;
}

static enum fk_state do_accept(struct fk_peer *peer) {
  for (;;) {
    enum fk_state state = fk_peer_await(peer, peer->listener.descriptor, POLLIN);
    if (state != FK_DONE) {
      return state;
    }
    int accepted = accept4(peer->listener.descriptor, NULL, NULL, SOCK_CLOEXEC);
    if (accepted >= 0) {
      if (fk_endpoint_take(&peer->connection, accepted) == 0) {
        return FK_DONE;
      }
    } else if (would_block(errno) || errno == EINTR || errno == ECONNABORTED) {
      continue;
    }
    return fk_peer_fail(peer, "accepting: %s", strerror(errno));
  }
}

static enum fk_state do_connect(struct fk_peer *peer, const struct fk_step *step) {
  const struct sockaddr *address = (const struct sockaddr *)&step->address.value;
  int made = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (made < 0 || fk_endpoint_take(&peer->connection, made) < 0) {
    return fk_peer_fail(peer, "making a socket: %s", strerror(errno));
  }
  int descriptor = peer->connection.descriptor;
  int error = connect(descriptor, address, step->address.size) < 0 ? errno : 0;
  if (error == EINPROGRESS) {
    socklen_t size = sizeof error;
    enum fk_state state = fk_peer_await(peer, descriptor, POLLOUT);
    if (state != FK_DONE) {
      return state;
    }
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
      error = errno;
    }
  }
  return error == 0 ? FK_DONE : fk_peer_fail(peer, "connecting: %s", strerror(error));
}

static enum fk_state do_buffers(struct fk_peer *peer, const struct fk_step *step) {
  const struct fk_endpoint *on = peer->connection.descriptor >= 0 ? &peer->connection : &peer->listener;
  const int names[] = {SO_RCVBUF, SO_SNDBUF};
  const int sizes[] = {step->receive_buffer, step->send_buffer};
  for (int i = 0; i < 2; i++) {
    if (sizes[i] > 0 && setsockopt(on->descriptor, SOL_SOCKET, names[i], &sizes[i], sizeof sizes[i]) < 0) {
      return fk_peer_fail(peer, "setting the size of a buffer: %s", strerror(errno));
    }
  }
  return FK_DONE;
}

static enum fk_state do_send(struct fk_peer *peer, const struct fk_step *step) {
  const uint8_t *data = step->data.data;
  uint64_t left = step->data.size;
  size_t turn = 0;
  enum fk_state state;
  do {
    size_t chunk = (size_t)next_chunk(step, &turn, left);
    state = send_all(peer, data, chunk);
    data += chunk;
    left -= chunk;
    if (state == FK_DONE) {
      state = pause_between(peer, step, left);
    }
  } while (state == FK_DONE && left > 0);
  return state;
}

/* Send one chunk of the pattern, through the buffer; where boundaries are kept it must fit there. */
static enum fk_state send_chunk(struct fk_peer *peer, uint64_t seed, uint64_t offset, uint64_t size) {
  enum fk_state state = FK_DONE;
  while (state == FK_DONE && size > 0) {
    size_t part = size < FK_BUFFER ? (size_t)size : FK_BUFFER;
    fk_pattern_fill(peer->buffer, part, seed, offset);
    state = send_all(peer, peer->buffer, part);
    offset += part;
    size -= part;
  }
  return state;
}

static enum fk_state do_send_pattern(struct fk_peer *peer, const struct fk_step *step) {
  uint64_t done = 0;
  size_t turn = 0;
  enum fk_state state = FK_DONE;
  while (state == FK_DONE && done < step->size) {
    uint64_t chunk = next_chunk(step, &turn, step->size - done);
    state = send_chunk(peer, step->seed, step->offset + done, chunk);
    done += chunk;
    if (state == FK_DONE) {
      state = pause_between(peer, step, step->size - done);
    }
  }
  return state;
}

/* Say which byte is wrong; where what was seen belongs elsewhere in the pattern, say where. */
static enum fk_state fail_pattern(struct fk_peer *peer, const struct fk_step *step, uint64_t at, const uint8_t *seen,
                                  size_t size) {
  uint8_t right[SHOWN];
  char expected_text[3 * SHOWN + 1];
  char seen_text[3 * SHOWN + 1];
  char moved[120] = "";
  uint64_t position = step->offset + at;
  size_t shown = size < SHOWN ? size : SHOWN;
  fk_pattern_fill(right, shown, step->seed, position);
  show(expected_text, right, shown);
  show(seen_text, seen, shown);
  if (shown == SHOWN) {
    uint64_t limit = position < SHIFT_SEARCH / 2 ? SHIFT_SEARCH : position + SHIFT_SEARCH / 2;
    uint64_t found = fk_pattern_find(seen, shown, step->seed, limit);
    if (found < limit) {
      (void)snprintf(moved, sizeof moved, "; that is the pattern at offset %llu, %llu bytes %s",
                     (unsigned long long)found,
                     (unsigned long long)(found > position ? found - position : position - found),
                     found > position ? "too early (bytes are missing)" : "too late (bytes came again)");
    }
  }
  return fk_peer_fail(peer, "the byte at offset %llu of the pattern is wrong: expected %s, seen %s%s",
                      (unsigned long long)position, expected_text, seen_text, moved);
}

static enum fk_state fail_short(struct fk_peer *peer, enum outcome outcome, uint64_t done, uint64_t size) {
  return fk_peer_fail(peer, "%s after %llu of %llu bytes", name_of(outcome), (unsigned long long)done,
                      (unsigned long long)size);
}

/* How much to ask the kernel for; where boundaries are kept, anything, so that nothing is cut off. */
static size_t wanted(const struct fk_peer *peer, uint64_t left) {
  return left < FK_BUFFER && peer->connection.kind != FK_DATAGRAM ? (size_t)left : FK_BUFFER;
}

/* Receive `step->size` bytes and compare them with the pattern, the data, or nothing. */
static enum fk_state receive_all(struct fk_peer *peer, const struct fk_step *step, uint64_t size) {
  for (uint64_t done = 0; done < size;) {
    enum outcome outcome;
    size_t got;
    enum fk_state state = receive_some(peer, wanted(peer, size - done), &got, &outcome);
    if (state != FK_DONE) {
      return state;
    }
    if (outcome != GOT) {
      return fail_short(peer, outcome, done, size);
    }
    size_t fitting = got < size - done ? got : (size_t)(size - done);
    size_t right = fitting;
    if (step->verb == FK_VERB_expect_pattern) {
      right = fk_pattern_mismatch(peer->buffer, fitting, step->seed, step->offset + done);
    } else if (step->verb == FK_VERB_expect) {
      const uint8_t *expected = step->data.data + done;
      for (right = 0; right < fitting && peer->buffer[right] == expected[right]; right++) {
      }
    }
    fk_peer_count(peer, right);
    if (right < fitting && step->verb == FK_VERB_expect_pattern) {
      return fail_pattern(peer, step, done + right, peer->buffer + right, fitting - right);
    }
    if (right < fitting) {
      char expected_text[3 * SHOWN + 1];
      char seen_text[3 * SHOWN + 1];
      show(expected_text, step->data.data + done + right, (size_t)(size - done) - right);
      show(seen_text, peer->buffer + right, got - right);
      return fk_peer_fail(peer, "the byte at offset %llu is wrong: expected %s, seen %s",
                          (unsigned long long)(done + right), expected_text, seen_text);
    }
    if (got > fitting) {
      return fk_peer_fail(peer, "a message of %zu bytes where %zu were expected", got, fitting);
    }
    done += got;
  }
  return FK_DONE;
}

/* Receive and throw away until the stream ends in the way that the verb wants. */
static enum fk_state receive_to_end(struct fk_peer *peer, const struct fk_step *step) {
  enum outcome end = step->verb == FK_VERB_expect_reset ? RESET : END;
  for (;;) {
    enum outcome outcome;
    size_t got;
    enum fk_state state = receive_some(peer, FK_BUFFER, &got, &outcome);
    if (state != FK_DONE) {
      return state;
    }
    if (outcome != GOT) {
      if (outcome == RESET) {
        fk_endpoint_close(&peer->connection);
      }
      return outcome == end ? FK_DONE : fk_peer_fail(peer, "expected %s, seen %s", name_of(end), name_of(outcome));
    }
    if (step->verb == FK_VERB_expect_eof) {
      char seen_text[3 * SHOWN + 1];
      show(seen_text, peer->buffer, got);
      return fk_peer_fail(peer, "expected the end of the stream, seen %zu bytes more: %s", got, seen_text);
    }
    fk_peer_count(peer, got);
  }
}

static enum fk_state do_echo(struct fk_peer *peer, const struct fk_step *step) {
  uint64_t left = step->size > 0 ? step->size : UINT64_MAX;
  while (left > 0) {
    enum outcome outcome;
    size_t got;
    enum fk_state state = receive_some(peer, wanted(peer, left), &got, &outcome);
    if (state == FK_DONE && outcome != GOT) {
      if (outcome == RESET) {
        return fk_peer_fail(peer, "%s", name_of(outcome));
      }
      return step->size > 0 ? fail_short(peer, outcome, step->size - left, step->size) : FK_DONE;
    }
    if (state == FK_DONE) {
      state = send_all(peer, peer->buffer, got);
    }
    if (state != FK_DONE) {
      return state;
    }
    left -= got < left ? got : left;
  }
  return FK_DONE;
}

static enum fk_state do_shutdown(struct fk_peer *peer) {
  if (shutdown(peer->connection.descriptor, SHUT_WR) < 0) {
    return fk_peer_fail(peer, "shutting down: %s", strerror(errno));
  }
  return FK_DONE;
}

enum fk_state fk_peer_perform(struct fk_peer *peer, const struct fk_step *step) {
  switch (step->verb) {
  case FK_VERB_accept:
    return do_accept(peer);
  case FK_VERB_connect:
    return do_connect(peer, step);
  case FK_VERB_buffers:
    return do_buffers(peer, step);
  case FK_VERB_send:
    return do_send(peer, step);
  case FK_VERB_send_pattern:
    return do_send_pattern(peer, step);
  case FK_VERB_receive:
  case FK_VERB_expect_pattern:
    return receive_all(peer, step, step->size);
  case FK_VERB_expect:
    return receive_all(peer, step, step->data.size);
  case FK_VERB_expect_eof:
  case FK_VERB_expect_reset:
  case FK_VERB_drain:
    return receive_to_end(peer, step);
  case FK_VERB_echo:
    return do_echo(peer, step);
  case FK_VERB_pause:
    return fk_peer_sleep(peer, fk_now() + step->pause);
  case FK_VERB_hold:
    return fk_peer_hold(peer);
  case FK_VERB_shutdown:
    return do_shutdown(peer);
  case FK_VERB_close:
    fk_endpoint_close(&peer->connection);
    return FK_DONE;
  case FK_VERB_reset:
    fk_endpoint_reset(&peer->connection);
    return FK_DONE;
  case FK_VERB_COUNT:
    break;
  }
  return fk_peer_fail(peer, "no such verb");
}
