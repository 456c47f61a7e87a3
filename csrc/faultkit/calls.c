/* The table of system calls that the injector knows. */
#include "calls.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/syscall.h>

/* Numbers that not every architecture or not every C library's headers have. */
#ifndef SYS_accept
#define SYS_accept -1
#endif
#ifndef SYS_poll
#define SYS_poll -1
#endif
#ifndef SYS_select
#define SYS_select -1
#endif
#ifndef SYS_epoll_wait
#define SYS_epoll_wait -1
#endif
#ifndef SYS_epoll_create
#define SYS_epoll_create -1
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 -1
#endif
#ifndef SYS_eventfd
#define SYS_eventfd -1
#endif
#ifndef SYS_pipe
#define SYS_pipe -1
#endif
#ifndef SYS_dup2
#define SYS_dup2 -1
#endif
#ifndef SYS_fork
#define SYS_fork -1
#endif
#ifndef SYS_vfork
#define SYS_vfork -1
#endif
#ifndef SYS_clone3
#define SYS_clone3 -1
#endif
#ifndef SYS_open
#define SYS_open -1
#endif
#ifndef SYS_unlink
#define SYS_unlink -1
#endif
#ifndef SYS_signalfd
#define SYS_signalfd -1
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open -1
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup -1
#define SYS_io_uring_enter -1
#define SYS_io_uring_register -1
#endif

/* Errors that come without the caller's fault, by the kind of call. */
static const int no_errors[] = {0};
static const int read_errors[] = {EINTR, EAGAIN, EIO, ECONNRESET, ETIMEDOUT, 0};
static const int receive_errors[] = {EINTR, EAGAIN, ECONNRESET, ECONNREFUSED, ETIMEDOUT, ENOMEM, 0};
static const int write_errors[] = {EINTR, EAGAIN, EPIPE, EIO, ENOSPC, ECONNRESET, 0};
static const int send_errors[] = {EINTR,       EAGAIN,       EPIPE, ECONNRESET, ECONNREFUSED, ENOBUFS, ENOMEM,
                                  ENETUNREACH, EHOSTUNREACH, EPERM, 0};
static const int copy_errors[] = {EINTR, EAGAIN, EPIPE, EIO, ECONNRESET, EINVAL, ENOMEM, 0};
static const int accept_errors[] = {EINTR, EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO, EPERM, 0};
static const int connect_errors[] = {EINTR,        EAGAIN,        ECONNREFUSED, ETIMEDOUT, ENETUNREACH,
                                     EHOSTUNREACH, EADDRNOTAVAIL, EACCES,       0};
static const int socket_errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EAFNOSUPPORT, 0};
static const int create_errors[] = {EMFILE, ENFILE, ENOMEM, 0};
static const int duplicate_errors[] = {EMFILE, 0};
static const int pidfd_errors[] = {EMFILE, ENFILE, ENOMEM, ENOSYS, 0};
static const int open_errors[] = {EINTR, EMFILE, ENFILE, ENOENT, EACCES, ENOMEM, 0};
static const int watch_errors[] = {ENOMEM, ENOSPC, 0};
static const int epoll_errors[] = {EINTR, 0};
static const int poll_errors[] = {EINTR, ENOMEM, 0};
static const int bind_errors[] = {EADDRINUSE, EADDRNOTAVAIL, EACCES, 0};
static const int listen_errors[] = {EADDRINUSE, 0};
static const int name_errors[] = {ENOBUFS, ENOTCONN, 0};
static const int option_errors[] = {ENOPROTOOPT, ENOBUFS, ENOMEM, 0};
static const int shutdown_errors[] = {ENOTCONN, 0};
static const int close_errors[] = {EINTR, EIO, 0};
static const int fork_errors[] = {EAGAIN, ENOMEM, 0};
static const int exec_errors[] = {ENOENT, EACCES, E2BIG, ENOMEM, ETXTBSY, 0};
static const int wait_errors[] = {EINTR, ECHILD, 0};
static const int unlink_errors[] = {ENOENT, EACCES, EBUSY, 0};
static const int random_errors[] = {EINTR, EAGAIN, ENOSYS, 0};
static const int uring_setup_errors[] = {ENOSYS, EPERM, ENOMEM, EMFILE, 0};
static const int uring_enter_errors[] = {EINTR, EAGAIN, EBUSY, 0};
static const int uring_register_errors[] = {ENOMEM, 0};

#define PLAIN(call, group, descriptor, errors)                                                                         \
  { #call, group, SYS_##call, descriptor, FK_NO_TRANSFER, 0, 0, false, errors }
#define READ(call, shape, errors)                                                                                      \
  { #call, "reading", SYS_##call, 0, shape, 0, 0, false, errors }
#define WRITE(call, shape, errors)                                                                                     \
  { #call, "writing", SYS_##call, 0, shape, 0, 0, true, errors }

const struct fk_call fk_calls[] = {
    READ(read, FK_FLAT, read_errors),
    READ(readv, FK_VECTOR, read_errors),
    READ(pread64, FK_NO_TRANSFER, read_errors),
    READ(preadv, FK_NO_TRANSFER, read_errors),
    READ(recvfrom, FK_SOCKET, receive_errors),
    READ(recvmsg, FK_MESSAGE, receive_errors),
    READ(recvmmsg, FK_NO_TRANSFER, receive_errors),
    WRITE(write, FK_FLAT, write_errors),
    WRITE(writev, FK_VECTOR, write_errors),
    WRITE(pwrite64, FK_NO_TRANSFER, write_errors),
    WRITE(pwritev, FK_NO_TRANSFER, write_errors),
    WRITE(sendto, FK_SOCKET, send_errors),
    WRITE(sendmsg, FK_MESSAGE, send_errors),
    WRITE(sendmmsg, FK_NO_TRANSFER, send_errors),
    {"sendfile", "writing", SYS_sendfile, 0, FK_COUNTED, 3, 1, true, copy_errors},
    {"splice", "writing", SYS_splice, 2, FK_COUNTED, 4, 0, true, copy_errors},
    PLAIN(accept, "accepting", 0, accept_errors),
    PLAIN(accept4, "accepting", 0, accept_errors),
    PLAIN(connect, "connecting", 0, connect_errors),
    PLAIN(socket, "creating", -1, socket_errors),
    PLAIN(socketpair, "creating", -1, socket_errors),
    PLAIN(pipe, "creating", -1, create_errors),
    PLAIN(pipe2, "creating", -1, create_errors),
    PLAIN(eventfd, "creating", -1, create_errors),
    PLAIN(eventfd2, "creating", -1, create_errors),
    PLAIN(epoll_create, "creating", -1, create_errors),
    PLAIN(epoll_create1, "creating", -1, create_errors),
    PLAIN(timerfd_create, "creating", -1, create_errors),
    PLAIN(signalfd, "creating", -1, create_errors),
    PLAIN(signalfd4, "creating", -1, create_errors),
    PLAIN(pidfd_open, "creating", -1, pidfd_errors),
    PLAIN(memfd_create, "creating", -1, create_errors),
    PLAIN(inotify_init1, "creating", -1, create_errors),
    PLAIN(dup, "creating", 0, duplicate_errors),
    PLAIN(dup2, "creating", 0, duplicate_errors),
    PLAIN(dup3, "creating", 0, duplicate_errors),
    PLAIN(open, "opening", -1, open_errors),
    PLAIN(openat, "opening", -1, open_errors),
    PLAIN(epoll_ctl, "watching", 2, watch_errors),
    PLAIN(epoll_wait, "polling", 0, epoll_errors),
    PLAIN(epoll_pwait, "polling", 0, epoll_errors),
    PLAIN(epoll_pwait2, "polling", 0, epoll_errors),
    PLAIN(poll, "polling", -1, poll_errors),
    PLAIN(ppoll, "polling", -1, poll_errors),
    PLAIN(select, "polling", -1, poll_errors),
    PLAIN(pselect6, "polling", -1, poll_errors),
    PLAIN(timerfd_settime, "timing", 0, no_errors),
    PLAIN(timerfd_gettime, "timing", 0, no_errors),
    PLAIN(bind, "addressing", 0, bind_errors),
    PLAIN(listen, "addressing", 0, listen_errors),
    PLAIN(getsockname, "addressing", 0, name_errors),
    PLAIN(getpeername, "addressing", 0, name_errors),
    PLAIN(getsockopt, "options", 0, option_errors),
    PLAIN(setsockopt, "options", 0, option_errors),
    PLAIN(fcntl, "options", 0, duplicate_errors),
    PLAIN(ioctl, "options", 0, no_errors),
    PLAIN(shutdown, "closing", 0, shutdown_errors),
    PLAIN(close, "closing", 0, close_errors),
    PLAIN(fork, "spawning", -1, fork_errors),
    PLAIN(vfork, "spawning", -1, fork_errors),
    PLAIN(clone, "spawning", -1, fork_errors),
    PLAIN(clone3, "spawning", -1, fork_errors),
    PLAIN(execve, "spawning", -1, exec_errors),
    PLAIN(execveat, "spawning", -1, exec_errors),
    PLAIN(wait4, "reaping", -1, wait_errors),
    PLAIN(waitid, "reaping", -1, wait_errors),
    PLAIN(unlink, "unlinking", -1, unlink_errors),
    PLAIN(unlinkat, "unlinking", -1, unlink_errors),
    PLAIN(getrandom, "random", -1, random_errors),
    PLAIN(io_uring_setup, "io_uring", -1, uring_setup_errors),
    PLAIN(io_uring_enter, "io_uring", 0, uring_enter_errors),
    PLAIN(io_uring_register, "io_uring", 0, uring_register_errors),
};

const size_t fk_call_count = sizeof fk_calls / sizeof *fk_calls;
_Static_assert(sizeof fk_calls / sizeof *fk_calls <= FK_CALLS_LIMIT, "a set of calls has too few bits");

/* The kernel's name of a function of the C library that has another name there. */
static const char *kernel_name(const char *name) {
  static const char *const renamed[][2] = {{"recv", "recvfrom"},   {"send", "sendto"},      {"pread", "pread64"},
                                           {"pwrite", "pwrite64"}, {"pselect", "pselect6"}, {"waitpid", "wait4"}};
  for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
    if (strcmp(renamed[i][0], name) == 0) {
      return renamed[i][1];
    }
  }
  return name;
}

bool fk_call_set_add(struct fk_call_set *set, const char *name) {
  const char *pattern = kernel_name(name);
  bool found = false;
  for (size_t i = 0; i < fk_call_count; i++) {
    if (fnmatch(pattern, fk_calls[i].name, 0) == 0 || strcmp(fk_calls[i].group, pattern) == 0) {
      set->bits[i / 64] |= UINT64_C(1) << (i % 64);
      found = true;
    }
  }
  return found;
}

bool fk_call_set_has(const struct fk_call_set *set, size_t call) {
  return (set->bits[call / 64] >> (call % 64) & 1) != 0;
}

size_t fk_call_numbered(long number) {
  size_t call = 0;
  while (call < fk_call_count && fk_calls[call].number != number) {
    call++;
  }
  return call;
}
