/* Verbs that send. */
#include "actions.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Where a message goes: the address of the step, or the sender of the last datagram, or (NULL) to the other end. */
static const struct fk_address *destination(const struct fk_peer *peer, const struct fk_step *step) {
  if (step->address.size > 0) {
    return &step->address;
  }
  return peer->connection->kind == FK_DATAGRAM && peer->source.size > 0 ? &peer->source : NULL;
}

static ssize_t send_part(struct fk_peer *peer, const struct fk_step *step, const uint8_t *data, size_t size) {
  int descriptor = peer->connection->descriptor;
  if (peer->connection->kind == FK_FILE) {
    return write(descriptor, data, size);
  }
  int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (step->more ? MSG_MORE : 0) | (step->urgent ? MSG_OOB : 0);
  const struct fk_address *to = destination(peer, step);
  return to == NULL ? send(descriptor, data, size, flags)
                    : sendto(descriptor, data, size, flags, (const struct sockaddr *)&to->value, to->size);
}

/* A UNIX socket cannot be waited for until somebody that it is not connected to has room. */
static enum fk_state await_room(struct fk_peer *peer, const struct fk_step *step) {
  const struct fk_address *to = destination(peer, step);
  if (to != NULL && to->value.ss_family == AF_UNIX) {
    return fk_peer_sleep(peer, fk_now() + FK_RETRY);
  }
  return fk_peer_await(peer, peer->connection->descriptor, POLLOUT);
}

enum fk_state fk_send_raw(struct fk_peer *peer, const struct fk_step *step, const uint8_t *data, size_t size) {
  do {
    enum fk_state state = fk_peer_check(peer);
    if (state != FK_DONE) {
      return state;
    }
    ssize_t count = send_part(peer, step, data, size);
    if (count >= 0) {
      if (peer->connection->tls == NULL) {
        fk_peer_count(peer, (size_t)count);
      }
      data += count;
      size -= (size_t)count;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
      state = await_room(peer, step);
      if (state != FK_DONE) {
        return state;
      }
    } else {
      return fk_peer_fail(peer, "sending: %s", strerror(errno));
    }
  } while (size > 0);
  return FK_DONE;
}

enum fk_state fk_send_all(struct fk_peer *peer, const struct fk_step *step, const uint8_t *data, size_t size) {
  return peer->connection->tls == NULL ? fk_send_raw(peer, step, data, size) : fk_tls_send_all(peer, step, data, size);
}

uint64_t fk_next_chunk(const struct fk_step *step, size_t *turn, uint64_t left) {
  if (step->chunks.count == 0) {
    return left;
  }
  uint64_t chunk = step->chunks.values[*turn];
  *turn = (*turn + 1) % step->chunks.count;
  return chunk < left ? chunk : left;
}

enum fk_state fk_pause_between(struct fk_peer *peer, const struct fk_step *step, uint64_t left) {
  return step->pause > 0 && left > 0 ? fk_peer_sleep(peer, fk_now() + step->pause) : FK_DONE;
}

enum fk_state fk_do_send(struct fk_peer *peer, const struct fk_step *step) {
  const uint8_t *data = step->data.data;
  uint64_t left = step->data.size;
  size_t turn = 0;
  enum fk_state state;
  if (peer->connection->kind == FK_FILE && (step->more || step->urgent || step->address.size > 0)) {
    return fk_peer_fail(peer, "only a socket sends to an address, urgently, or with more to come");
  }
  do {
    size_t chunk = (size_t)fk_next_chunk(step, &turn, left);
    state = fk_send_all(peer, step, data, chunk);
    data += chunk;
    left -= chunk;
    if (state == FK_DONE) {
      state = fk_pause_between(peer, step, left);
    }
  } while (state == FK_DONE && left > 0);
  return state;
}

/* Send one chunk of the pattern, through the buffer; where boundaries are kept it must fit there. */
static enum fk_state send_chunk(struct fk_peer *peer, const struct fk_step *step, uint64_t done, uint64_t size) {
  enum fk_state state = FK_DONE;
  if (size > FK_BUFFER && fk_keeps_boundaries(peer->connection)) {
    return fk_peer_fail(peer, "a message of the pattern has at most %zu bytes, not %llu", FK_BUFFER,
                        (unsigned long long)size);
  }
  do {
    size_t part = size < FK_BUFFER ? (size_t)size : FK_BUFFER;
    fk_stream_fill(&peer->stream, peer->buffer, part, step->offset + done);
    state = fk_send_all(peer, step, peer->buffer, part);
    done += part;
    size -= part;
  } while (state == FK_DONE && size > 0);
  return state;
}

enum fk_state fk_do_send_pattern(struct fk_peer *peer, const struct fk_step *step) {
  uint64_t done = 0;
  size_t turn = 0;
  enum fk_state state = FK_DONE;
  fk_stream_prepare(&peer->stream, step->seed);
  do {
    uint64_t chunk = fk_next_chunk(step, &turn, step->size - done);
    state = send_chunk(peer, step, done, chunk);
    done += chunk;
    if (state == FK_DONE) {
      state = fk_pause_between(peer, step, step->size - done);
    }
  } while (state == FK_DONE && done < step->size);
  return state;
}

/* Make the pipe whose writing end is passed on. As long as anybody has that end, the reading end sees no end. */
static int make_passed(struct fk_peer *peer) {
  int ends[2];
  if (peer->passed[0] >= 0) {
    return 0;
  }
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
    return -1;
  }
  for (int i = 0; i < 2; i++) {
    peer->passed[i] = fk_move_high(ends[i]);
  }
  if (peer->passed[0] < 0 || peer->passed[1] < 0) {
    int reason = errno;
    fk_forget_passed(peer);
    errno = reason;
    return -1;
  }
  return 0;
}

void fk_forget_passed(struct fk_peer *peer) {
  for (int i = 0; i < 2; i++) {
    if (peer->passed[i] >= 0) {
      close(peer->passed[i]);
      peer->passed[i] = -1;
    }
  }
}

/* Add a control message of `size` bytes behind what the header carries; returns where its data go. */
static void *add_control(struct msghdr *header, int type, size_t size) {
  struct cmsghdr *control = (struct cmsghdr *)((char *)header->msg_control + header->msg_controllen);
  *control = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = type, .cmsg_len = CMSG_LEN(size)};
  header->msg_controllen += CMSG_SPACE(size);
  return CMSG_DATA(control);
}

enum fk_state fk_do_send_ancillary(struct fk_peer *peer, const struct fk_step *step) {
  _Alignas(struct cmsghdr) char space[CMSG_SPACE(FK_MOST_PASSED * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))] = {
      0};
  struct iovec data = {.iov_base = step->data.data, .iov_len = step->data.size};
  struct msghdr header = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space};
  const struct fk_address *to = destination(peer, step);
  ssize_t count;
  if (make_passed(peer) < 0) {
    return fk_peer_fail(peer, "making a pipe: %s", strerror(errno));
  }
  if (step->descriptors > 0) {
    int *descriptors = add_control(&header, SCM_RIGHTS, (size_t)step->descriptors * sizeof(int));
    for (uint64_t i = 0; i < step->descriptors; i++) {
      descriptors[i] = peer->passed[1];
    }
  }
  if (step->credentials) {
    struct ucred own = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
    memcpy(add_control(&header, SCM_CREDENTIALS, sizeof own), &own, sizeof own);
  }
  if (to != NULL) {
    header.msg_name = (void *)&to->value;
    header.msg_namelen = to->size;
  }
  while ((count = sendmsg(peer->connection->descriptor, &header, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      return fk_peer_fail(peer, "sending with ancillary data: %s", strerror(errno));
    }
    enum fk_state state = await_room(peer, step);
    if (state != FK_DONE) {
      return state;
    }
  }
  fk_peer_count(peer, (size_t)count);
  size_t left = step->data.size - (size_t)count;
  return left == 0 ? FK_DONE : fk_send_all(peer, step, step->data.data + count, left);
}

enum fk_state fk_do_expect_descriptors_closed(struct fk_peer *peer, const struct fk_step *step) {
  (void)step;
  if (peer->passed[0] < 0) {
    return FK_DONE;
  }
  close(peer->passed[1]);
  peer->passed[1] = -1;
  enum fk_state state = fk_peer_await(peer, peer->passed[0], POLLIN); /* POLLHUP: the last writing end is closed */
  if (state == FK_DONE) {
    fk_forget_passed(peer);
  }
  return state;
}
