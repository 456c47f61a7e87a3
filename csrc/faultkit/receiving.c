/* Verbs that receive, and what they say of what is wrong. */
#include "actions.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHOWN ((size_t)8)
#define HEX (3 * SHOWN + 1)
#define SHIFT_SEARCH (UINT64_C(1) << 25) /* bytes, in both directions */

static ssize_t receive_part(struct fk_peer *peer, size_t size) {
  const struct fk_endpoint *from = peer->connection;
  if (from->kind == FK_FILE) {
    return read(from->descriptor, peer->buffer, size);
  }
  if (from->kind == FK_STREAM) {
    return recv(from->descriptor, peer->buffer, size, MSG_DONTWAIT);
  }
  struct fk_address *source = &peer->source;
  source->size = sizeof source->value;
  ssize_t count = recvfrom(from->descriptor, peer->buffer, FK_BUFFER, MSG_DONTWAIT | MSG_TRUNC,
                           (struct sockaddr *)&source->value, &source->size);
  if (count < 0 || source->size <= sizeof(sa_family_t)) {
    source->size = 0;
  }
  return count;
}

enum fk_state fk_receive_raw(struct fk_peer *peer, size_t size, size_t *got, enum fk_outcome *outcome) {
  const struct fk_endpoint *from = peer->connection;
  *got = 0;
  for (;;) {
    enum fk_state state = fk_peer_check(peer);
    if (state != FK_DONE) {
      return state;
    }
    ssize_t count = receive_part(peer, size);
    if (count >= 0) {
      *got = (size_t)count;
      *outcome = count > 0 || from->kind == FK_DATAGRAM ? FK_GOT : FK_END;
      return FK_DONE;
    }
    if (errno == ECONNRESET) {
      *outcome = FK_RESET;
      return FK_DONE;
    }
    if (errno == EIO && from->kind == FK_FILE) { /* a terminal whose other side is closed */
      *outcome = FK_END;
      return FK_DONE;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      return fk_peer_fail(peer, "receiving: %s", strerror(errno));
    }
    state = fk_peer_await(peer, from->descriptor, POLLIN);
    if (state != FK_DONE) {
      return state;
    }
  }
}

enum fk_state fk_receive_some(struct fk_peer *peer, const struct fk_step *step, size_t size, size_t *got,
                              enum fk_outcome *outcome) {
  return peer->connection->tls == NULL ? fk_receive_raw(peer, size, got, outcome)
                                       : fk_tls_receive_some(peer, step, size, got, outcome);
}

const char *fk_outcome_name(enum fk_outcome outcome) {
  static const char *const names[] = {
      [FK_GOT] = "bytes",
      [FK_END] = "the end of the stream",
      [FK_TRUNCATED] = "the end of the stream without close_notify",
      [FK_RESET] = "a reset of the connection",
  };
  return names[outcome];
}

/* Write up to SHOWN bytes in hexadecimal to `text`. */
static void show(char text[HEX], const uint8_t *data, size_t size) {
  text[0] = '\0';
  for (size_t i = 0; i < size && i < SHOWN; i++) {
    (void)snprintf(text + 3 * i, 4, i + 1 < size && i + 1 < SHOWN ? "%02x " : "%02x", data[i]);
  }
}

/* What is being received: where it belongs in the whole, and which piece it is. */
struct progress {
  uint64_t size;
  uint64_t done;
  uint64_t piece; /* the size of the next one: of a message exactly, else at most */
  size_t turn;
  uint64_t number; /* of pieces before it */
};

/* "datagram 3, byte 17: " where boundaries are kept, else nothing. */
static const char *name_place(const struct fk_peer *peer, const struct progress *now, size_t at, char text[80]) {
  text[0] = '\0';
  if (fk_keeps_boundaries(peer->connection)) {
    (void)snprintf(text, 80, "datagram %llu, byte %zu: ", (unsigned long long)now->number + 1, at);
  }
  return text;
}

/* Say which byte of a pattern is wrong; where what was seen belongs elsewhere in the pattern, say where. */
static enum fk_state fail_pattern(struct fk_peer *peer, const struct fk_step *step, const struct progress *now,
                                  size_t at, size_t size) {
  uint8_t right[SHOWN];
  char expected_text[HEX];
  char seen_text[HEX];
  char place[80];
  char moved[120] = "";
  const uint8_t *seen = peer->buffer + at;
  uint64_t position = step->offset + now->done + at;
  size_t shown = size - at < SHOWN ? size - at : SHOWN;
  fk_stream_fill(&peer->stream, right, shown, position);
  show(expected_text, right, shown);
  show(seen_text, seen, shown);
  if (shown == SHOWN) {
    uint64_t start = position < SHIFT_SEARCH ? 0 : position - SHIFT_SEARCH;
    uint64_t limit = position + SHIFT_SEARCH;
    uint64_t found = fk_pattern_find(seen, shown, step->seed, start, limit);
    if (found < limit) {
      (void)snprintf(moved, sizeof moved, "; that is the pattern at offset %llu, %llu bytes %s",
                     (unsigned long long)found,
                     (unsigned long long)(found > position ? found - position : position - found),
                     found > position ? "too early (bytes are missing)" : "too late (bytes came again)");
    }
  }
  return fk_peer_fail(peer, "%sthe byte at offset %llu of the pattern is wrong: expected %s, seen %s%s",
                      name_place(peer, now, at, place), (unsigned long long)position, expected_text, seen_text, moved);
}

static enum fk_state fail_data(struct fk_peer *peer, const struct fk_step *step, const struct progress *now, size_t at,
                               size_t size) {
  char expected_text[HEX];
  char seen_text[HEX];
  char place[80];
  uint64_t position = now->done + at;
  show(expected_text, step->data.data + position, (size_t)(now->size - position));
  show(seen_text, peer->buffer + at, size - at);
  return fk_peer_fail(peer, "%sthe byte at offset %llu is wrong: expected %s, seen %s",
                      name_place(peer, now, at, place), (unsigned long long)position, expected_text, seen_text);
}

static enum fk_state fail_short(struct fk_peer *peer, enum fk_outcome outcome, uint64_t done, uint64_t size) {
  return fk_peer_fail(peer, "%s after %llu of %llu bytes", fk_outcome_name(outcome), (unsigned long long)done,
                      (unsigned long long)size);
}

/* Compare what was received with what the step expects. */
static enum fk_state check_bytes(struct fk_peer *peer, const struct fk_step *step, const struct progress *now,
                                 size_t size) {
  size_t right = size;
  if (step->verb == FK_VERB_expect_pattern) {
    right = fk_stream_mismatch(&peer->stream, peer->buffer, size, step->offset + now->done);
  } else if (step->verb == FK_VERB_expect) {
    const uint8_t *expected = step->data.data + now->done;
    for (right = 0; right < size && peer->buffer[right] == expected[right]; right++) {
    }
  }
  fk_peer_count(peer, right);
  if (right == size) {
    return FK_DONE;
  }
  return step->verb == FK_VERB_expect ? fail_data(peer, step, now, right, size)
                                      : fail_pattern(peer, step, now, right, size);
}

static bool same_address(const struct fk_address *left, const struct fk_address *right) {
  if (left->value.ss_family != right->value.ss_family) {
    return false;
  }
  if (left->value.ss_family == AF_INET6) { /* without the flow and the scope */
    const struct sockaddr_in6 *one = (const struct sockaddr_in6 *)&left->value;
    const struct sockaddr_in6 *other = (const struct sockaddr_in6 *)&right->value;
    return one->sin6_port == other->sin6_port && memcmp(&one->sin6_addr, &other->sin6_addr, sizeof one->sin6_addr) == 0;
  }
  return left->size == right->size && memcmp(&left->value, &right->value, left->size) == 0;
}

/* Check what is special about a message: its size, and where it came from. */
static enum fk_state check_message(struct fk_peer *peer, const struct fk_step *step, const struct progress *now,
                                   size_t size) {
  if (step->address.size > 0 && !same_address(&step->address, &peer->source)) {
    return fk_peer_fail(peer, "datagram %llu is from another sender", (unsigned long long)now->number + 1);
  }
  if (size != now->piece) {
    return fk_peer_fail(peer, "datagram %llu has %zu bytes where %llu were expected",
                        (unsigned long long)now->number + 1, size, (unsigned long long)now->piece);
  }
  return size <= FK_BUFFER ? FK_DONE : fk_peer_fail(peer, "a datagram of %zu bytes is too long to be looked at", size);
}

/* Receive `size` bytes and compare them with the pattern, the data, or nothing. */
static enum fk_state receive_all(struct fk_peer *peer, const struct fk_step *step, uint64_t size) {
  struct progress now = {.size = size};
  bool messages = fk_keeps_boundaries(peer->connection);
  enum fk_state state = FK_DONE;
  while (state == FK_DONE && (now.done < size || (messages && now.number == 0))) {
    enum fk_outcome outcome;
    size_t got;
    now.piece = fk_next_chunk(step, &now.turn, size - now.done);
    state = fk_receive_some(peer, step, now.piece < FK_BUFFER ? (size_t)now.piece : FK_BUFFER, &got, &outcome);
    if (state == FK_DONE && outcome != FK_GOT) {
      state = fail_short(peer, outcome, now.done, size);
    }
    if (state == FK_DONE && messages) {
      state = check_message(peer, step, &now, got);
    }
    if (state == FK_DONE) {
      state = check_bytes(peer, step, &now, got);
      now.done += got;
      now.number++;
    }
    if (state == FK_DONE) {
      state = fk_pause_between(peer, step, size - now.done);
    }
  }
  return state;
}

enum fk_state fk_do_receive(struct fk_peer *peer, const struct fk_step *step) {
  return receive_all(peer, step, step->size);
}

enum fk_state fk_do_expect_pattern(struct fk_peer *peer, const struct fk_step *step) {
  fk_stream_prepare(&peer->stream, step->seed);
  return receive_all(peer, step, step->size);
}

enum fk_state fk_do_expect(struct fk_peer *peer, const struct fk_step *step) {
  return receive_all(peer, step, step->data.size);
}

enum fk_state fk_receive_to_end(struct fk_peer *peer, const struct fk_step *step, enum fk_outcome end) {
  size_t turn = 0;
  if (peer->connection->kind == FK_DATAGRAM) {
    return fk_peer_fail(peer, "datagrams have no end");
  }
  for (;;) {
    enum fk_outcome outcome;
    size_t got;
    size_t most = (size_t)fk_next_chunk(step, &turn, FK_BUFFER);
    enum fk_state state = end == FK_RESET ? fk_receive_raw(peer, most, &got, &outcome) /* whatever TLS thinks of it */
                                          : fk_receive_some(peer, step, most, &got, &outcome);
    if (state != FK_DONE) {
      return state;
    }
    if (outcome != FK_GOT) {
      return outcome == end
                 ? FK_DONE
                 : fk_peer_fail(peer, "expected %s, seen %s", fk_outcome_name(end), fk_outcome_name(outcome));
    }
    if (step->verb == FK_VERB_expect_eof) {
      char seen_text[HEX];
      show(seen_text, peer->buffer, got);
      return fk_peer_fail(peer, "expected the end of the stream, seen %zu bytes more: %s", got, seen_text);
    }
    fk_peer_count(peer, got);
    state = fk_pause_between(peer, step, 1);
    if (state != FK_DONE) {
      return state;
    }
  }
}

enum fk_state fk_do_expect_eof(struct fk_peer *peer, const struct fk_step *step) {
  return fk_receive_to_end(peer, step, FK_END);
}

enum fk_state fk_do_drain(struct fk_peer *peer, const struct fk_step *step) {
  return fk_receive_to_end(peer, step, FK_END);
}

enum fk_state fk_do_expect_reset(struct fk_peer *peer, const struct fk_step *step) {
  enum fk_state state = fk_receive_to_end(peer, step, FK_RESET);
  if (state == FK_DONE) {
    fk_endpoint_close(peer->connection);
  }
  return state;
}

enum fk_state fk_do_expect_silence(struct fk_peer *peer, const struct fk_step *step) {
  enum fk_outcome outcome;
  bool happened;
  size_t got;
  char seen_text[HEX];
  enum fk_state state =
      fk_peer_await_until(peer, peer->connection->descriptor, POLLIN, fk_now() + step->pause, &happened);
  if (state != FK_DONE || !happened) {
    return state;
  }
  state = fk_receive_some(peer, step, FK_BUFFER, &got, &outcome);
  if (state != FK_DONE) {
    return state;
  }
  if (outcome != FK_GOT) {
    return fk_peer_fail(peer, "expected silence, seen %s", fk_outcome_name(outcome));
  }
  show(seen_text, peer->buffer, got);
  return fk_peer_fail(peer, "expected silence, seen %zu bytes: %s", got, seen_text);
}

enum fk_state fk_do_echo(struct fk_peer *peer, const struct fk_step *step) {
  uint64_t left = step->size > 0 ? step->size : UINT64_MAX;
  while (left > 0) {
    enum fk_outcome outcome;
    size_t got;
    enum fk_state state = fk_receive_some(peer, step, left < FK_BUFFER ? (size_t)left : FK_BUFFER, &got, &outcome);
    if (state == FK_DONE && outcome != FK_GOT) {
      if (outcome != FK_END) {
        return fk_peer_fail(peer, "%s", fk_outcome_name(outcome));
      }
      return step->size > 0 ? fail_short(peer, outcome, step->size - left, step->size) : FK_DONE;
    }
    if (state == FK_DONE && got > FK_BUFFER) {
      return fk_peer_fail(peer, "a datagram of %zu bytes is too long to be sent back", got);
    }
    if (state == FK_DONE) {
      state = fk_send_all(peer, step, peer->buffer, got);
    }
    if (state != FK_DONE) {
      return state;
    }
    left -= got < left ? got : left;
  }
  return FK_DONE;
}
