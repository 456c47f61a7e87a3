/* Parts of transfers, done as the supervisor does them but without one. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cases.h"
#include "transfers.h"

#define ARGUMENT(pointer) ((uint64_t)(uintptr_t)(pointer))

static const struct fk_call *call_of(long number) { return &fk_calls[fk_call_numbered(number)]; }

/* A stream whose second end holds "hello, world", both ends in blocking mode. */
static void open_stream(bool is_socket, int ends[2]) {
  if (is_socket) {
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  } else {
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    ends[0] = pipes[1];
    ends[1] = pipes[0];
  }
  CHECK(write(ends[0], "hello, world", 12) == 12);
}

static void test_reads_are_cut(void) {
  for (int is_socket = 0; is_socket < 2; is_socket++) {
    int ends[2];
    char text[64] = "";
    open_stream(is_socket != 0, ends);
    uint64_t flat[6] = {(uint64_t)ends[1], ARGUMENT(text), sizeof text};
    CHECK(fk_transfer_size(call_of(SYS_read), flat) == sizeof text);
    CHECK(fk_transfer_part(call_of(SYS_read), flat, 5) == 5);
    CHECK(strcmp(text, "hello") == 0);
    struct iovec parts[] = {{text, 1}, {text + 10, 1}, {text + 20, 30}};
    uint64_t vector[6] = {(uint64_t)ends[1], ARGUMENT(parts), 3};
    CHECK(fk_transfer_size(call_of(SYS_readv), vector) == 32);
    CHECK(fk_transfer_part(call_of(SYS_readv), vector, 3) == 3);
    CHECK(text[0] == ',' && text[10] == ' ' && text[20] == 'w' && text[21] == '\0');
    CHECK(parts[2].iov_len == 30);
    CHECK(fk_transfer_part(call_of(SYS_read), flat, 60) == 4);
    CHECK(fk_transfer_part(call_of(SYS_read), flat, 60) == FK_NOT_DONE); /* it would wait */
    close(ends[0]);
    CHECK(fk_transfer_part(call_of(SYS_read), flat, 60) == 0);
    close(ends[1]);
  }
}

static void test_messages_are_cut(void) {
  int ends[2];
  char text[64] = "";
  char control[64];
  open_stream(true, ends);
  struct iovec part = {text, sizeof text};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control, .msg_flags = 77};
  uint64_t arguments[6] = {(uint64_t)ends[1], ARGUMENT(&message), 0};
  CHECK(fk_transfer_size(call_of(SYS_recvmsg), arguments) == sizeof text);
  CHECK(fk_transfer_part(call_of(SYS_recvmsg), arguments, 7) == 7);
  CHECK(strcmp(text, "hello, ") == 0);
  CHECK(message.msg_iov == &part && part.iov_len == sizeof text);
  CHECK(message.msg_controllen == 0 && message.msg_flags == 0);
  uint64_t plain[6] = {(uint64_t)ends[1], ARGUMENT(text), sizeof text, 0, 0, 0};
  CHECK(fk_transfer_part(call_of(SYS_recvfrom), plain, 3) == 3);
  CHECK(memcmp(text, "wor", 3) == 0);
  struct iovec sent = {"goodbye", 7};
  message = (struct msghdr){.msg_iov = &sent, .msg_iovlen = 1};
  arguments[0] = (uint64_t)ends[0];
  CHECK(fk_transfer_part(call_of(SYS_sendmsg), arguments, 4) == 4);
  CHECK(recv(ends[1], text, sizeof text, 0) == 6 && memcmp(text, "ldgood", 6) == 0);
  close(ends[0]);
  close(ends[1]);
}

static void test_writes_are_cut_and_never_wait(void) {
  CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* the supervisor's thread has it blocked */
  for (int is_socket = 0; is_socket < 2; is_socket++) {
    int ends[2];
    static char block[65536];
    char text[64];
    open_stream(is_socket != 0, ends);
    uint64_t arguments[6] = {(uint64_t)ends[0], ARGUMENT("01234"), 5};
    CHECK(fk_transfer_part(call_of(SYS_write), arguments, 2) == 2);
    CHECK(read(ends[1], text, sizeof text) == 14 && memcmp(text + 12, "01", 2) == 0);
    arguments[1] = ARGUMENT(block);
    arguments[2] = sizeof block;
    int64_t outcome = 0;
    for (int i = 0; i < 10000 && outcome >= 0; i++)
      outcome = fk_transfer_part(call_of(SYS_write), arguments, sizeof block);
    CHECK(outcome == FK_NOT_DONE); /* full, in blocking mode */
    close(ends[1]);
    CHECK(fk_transfer_part(call_of(SYS_write), arguments, 1) == FK_NOT_DONE); /* its thread gets SIGPIPE, not we */
    close(ends[0]);
  }
}

static void test_files_are_copied_in_part(void) {
  int ends[2];
  char text[64];
  int file = open("/proc/self/exe", O_RDONLY);
  off_t offset = 1;
  open_stream(true, ends);
  uint64_t arguments[6] = {(uint64_t)ends[0], (uint64_t)file, ARGUMENT(&offset), 1000};
  CHECK(fk_transfer_size(call_of(SYS_sendfile), arguments) == 1000);
  CHECK(fk_transfer_part(call_of(SYS_sendfile), arguments, 3) == FK_NOT_DONE); /* the socket may wait */
  CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
  CHECK(fk_transfer_part(call_of(SYS_sendfile), arguments, 3) == 3);
  CHECK(offset == 4);
  CHECK(recv(ends[1], text, sizeof text, 0) == 15 && memcmp(text + 12, "ELF", 3) == 0);
  close(file);
  close(ends[0]);
  close(ends[1]);
}

static void test_wrong_arguments_do_no_harm(void) {
  int ends[2];
  open_stream(true, ends);
  uint64_t arguments[6] = {(uint64_t)ends[1], 8, 100};
  CHECK(fk_transfer_part(call_of(SYS_read), arguments, 5) == -EFAULT);
  CHECK(fk_transfer_size(call_of(SYS_readv), arguments) == 0);
  CHECK(fk_transfer_part(call_of(SYS_readv), arguments, 5) == FK_NOT_DONE);
  CHECK(fk_transfer_size(call_of(SYS_recvmsg), arguments) == 0);
  struct iovec huge[] = {{NULL, SIZE_MAX}, {NULL, SIZE_MAX}};
  uint64_t overflowing[6] = {(uint64_t)ends[1], ARGUMENT(huge), 2};
  CHECK(fk_transfer_size(call_of(SYS_readv), overflowing) == 0);
  overflowing[2] = UINT64_MAX;
  CHECK(fk_transfer_size(call_of(SYS_readv), overflowing) == 0);
  arguments[0] = (uint64_t)-1;
  CHECK(fk_transfer_part(call_of(SYS_read), arguments, 5) == -EBADF);
  close(ends[0]);
  close(ends[1]);
}

static void test_a_close_really_closes(void) {
  int ends[2];
  open_stream(true, ends);
  CHECK(fk_close_in_place(ends[0]) == 0);
  CHECK(fcntl(ends[0], F_GETFD) < 0);
  CHECK(fk_close_in_place(ends[0]) == FK_NOT_DONE);
  struct linger linger = {1, 1};
  CHECK(setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
  CHECK(fk_close_in_place(ends[1]) == FK_NOT_DONE);
  CHECK(close(ends[1]) == 0);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"reads", test_reads_are_cut},
      {"messages", test_messages_are_cut},
      {"writes", test_writes_are_cut_and_never_wait},
      {"files", test_files_are_copied_in_part},
      {"wrong", test_wrong_arguments_do_no_harm},
      {"close", test_a_close_really_closes},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
