/* Parts of transfers: the same system call on the same descriptor and memory, with less to move. */
#include "transfers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Read this process's memory at an address that may be wrong. */
static bool fetch(uint64_t address, void *target, size_t size) {
  struct iovec here = {target, size};
  struct iovec there = {(void *)(uintptr_t)address, size};
  return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)size;
}

static bool store(uint64_t address, const void *source, size_t size) {
  struct iovec here = {(void *)(uintptr_t)source, size};
  struct iovec there = {(void *)(uintptr_t)address, size};
  return process_vm_writev(getpid(), &here, 1, &there, 1, 0) == (ssize_t)size;
}

/* A copy of an array of struct iovec. */
struct vector {
  struct iovec parts[IOV_MAX];
  size_t count;
};

static bool fetch_vector(struct vector *vector, uint64_t address, uint64_t count) {
  vector->count = (size_t)count;
  return count > 0 && count <= IOV_MAX && fetch(address, vector->parts, vector->count * sizeof(struct iovec));
}

/* Fetch what a call of the shape FK_FLAT, FK_VECTOR or FK_MESSAGE moves; `message`, if it is one, too. */
static bool fetch_parts(struct vector *vector, struct msghdr *message, const struct fk_call *call,
                        const uint64_t arguments[6]) {
  switch (call->shape) {
  case FK_FLAT:
    vector->parts[0] = (struct iovec){(void *)(uintptr_t)arguments[1], (size_t)arguments[2]};
    vector->count = 1;
    return true;
  case FK_VECTOR:
    return fetch_vector(vector, arguments[1], arguments[2]);
  case FK_MESSAGE:
    return fetch(arguments[1], message, sizeof *message) &&
           fetch_vector(vector, (uintptr_t)message->msg_iov, message->msg_iovlen);
  default:
    return false;
  }
}

static uint64_t size_of_vector(const struct vector *vector) {
  uint64_t size = 0;
  for (size_t i = 0; i < vector->count; i++) {
    if (__builtin_add_overflow(size, (uint64_t)vector->parts[i].iov_len, &size)) {
      return 0;
    }
  }
  return size;
}

static void cut_vector(struct vector *vector, uint64_t limit) {
  size_t kept = 0;
  while (kept < vector->count && limit > 0) {
    struct iovec *part = &vector->parts[kept++];
    part->iov_len = part->iov_len < limit ? part->iov_len : (size_t)limit;
    limit -= part->iov_len;
  }
  vector->count = kept;
}

uint64_t fk_transfer_size(const struct fk_call *call, const uint64_t arguments[6]) {
  struct vector vector;
  struct msghdr message;
  switch (call->shape) {
  case FK_NO_TRANSFER:
    return 0;
  case FK_FLAT:
  case FK_SOCKET:
    return arguments[2];
  case FK_COUNTED:
    return arguments[call->size];
  case FK_VECTOR:
  case FK_MESSAGE:
    return fetch_parts(&vector, &message, call, arguments) ? size_of_vector(&vector) : 0;
  }
  return 0;
}

/* EAGAIN and EOPNOTSUPP: it cannot be done without waiting. EPIPE: the thread itself has to get the signal as well. */
static int64_t outcome_of(long returned) {
  if (returned >= 0) {
    return returned;
  }
  return errno == EAGAIN || errno == EOPNOTSUPP || errno == EPIPE ? FK_NOT_DONE : -(int64_t)errno;
}

/* Whether reads and writes never wait: in non-blocking mode, and on regular files. */
static bool never_waits(int descriptor) {
  struct stat status;
  int mode = fcntl(descriptor, F_GETFL);
  return mode >= 0 && ((mode & O_NONBLOCK) != 0 || (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)));
}

/* read, readv, write, writev */
static int64_t move_vector(const struct fk_call *call, int descriptor, bool is_socket, const struct vector *vector) {
  struct msghdr message = {.msg_iov = (struct iovec *)vector->parts, .msg_iovlen = vector->count};
  int count = (int)vector->count;
  if (is_socket) {
    return outcome_of(call->writes ? sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
                                   : recvmsg(descriptor, &message, MSG_DONTWAIT));
  }
  if (never_waits(descriptor)) {
    return outcome_of(call->writes ? writev(descriptor, vector->parts, count)
                                   : readv(descriptor, vector->parts, count));
  }
  return outcome_of(call->writes ? pwritev2(descriptor, vector->parts, count, -1, RWF_NOWAIT)
                                 : preadv2(descriptor, vector->parts, count, -1, RWF_NOWAIT));
}

/* recvmsg, sendmsg: the message stays where it is, what it says of the outcome is written back. */
static int64_t move_message(const struct fk_call *call, const uint64_t arguments[6], struct vector *vector,
                            struct msghdr *message, int flags) {
  struct msghdr less = *message;
  less.msg_iov = vector->parts;
  less.msg_iovlen = vector->count;
  long returned = syscall(call->number, (long)arguments[0], &less, (long)arguments[2] | flags);
  if (returned >= 0 && !call->writes) {
    message->msg_namelen = less.msg_namelen;
    message->msg_controllen = less.msg_controllen;
    message->msg_flags = less.msg_flags;
    (void)store(arguments[1], message, sizeof *message); /* it could be read, so it is there */
  }
  return outcome_of(returned);
}

/* sendfile, splice */
static int64_t move_counted(const struct fk_call *call, const uint64_t arguments[6], uint64_t limit) {
  long less[6];
  for (int i = 0; i < 6; i++) {
    less[i] = (long)arguments[i];
  }
  less[call->size] = (long)limit;
  if (!never_waits((int)arguments[call->descriptor]) || !never_waits((int)arguments[call->source])) {
    return FK_NOT_DONE;
  }
  return outcome_of(syscall(call->number, less[0], less[1], less[2], less[3], less[4], less[5]));
}

int64_t fk_transfer_part(const struct fk_call *call, const uint64_t arguments[6], uint64_t limit) {
  int descriptor = (int)arguments[call->descriptor];
  int flags = MSG_DONTWAIT | (call->writes ? MSG_NOSIGNAL : 0);
  const long *given = (const long *)arguments;
  struct vector vector;
  struct msghdr message;
  int type = 0;
  socklen_t size = sizeof type;
  switch (call->shape) {
  case FK_SOCKET:
    return outcome_of(syscall(call->number, given[0], given[1], (long)limit, given[3] | flags, given[4], given[5]));
  case FK_FLAT:
  case FK_VECTOR:
  case FK_MESSAGE:
    if (!fetch_parts(&vector, &message, call, arguments)) {
      return FK_NOT_DONE;
    }
    cut_vector(&vector, limit);
    if (call->shape == FK_MESSAGE) {
      return move_message(call, arguments, &vector, &message, flags);
    }
    return move_vector(call, descriptor, getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0, &vector);
  case FK_COUNTED:
    return move_counted(call, arguments, limit);
  case FK_NO_TRANSFER:
    break;
  }
  return FK_NOT_DONE;
}

int64_t fk_close_in_place(int descriptor) {
  struct linger linger = {0, 0};
  socklen_t size = sizeof linger;
  bool lingers =
      getsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, &size) == 0 && linger.l_onoff != 0 && linger.l_linger > 0;
  return lingers || close(descriptor) < 0 ? FK_NOT_DONE : 0;
}
