/* What descriptors are open on: kinds, sockets, epoll sets. */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cases.h"
#include "openfile.h"
#include "procfs.h"

static struct fk_identity identity_of(int descriptor) {
  struct fk_identity identity;

  CHECK(descriptor >= 0);
  CHECK(fk_identify(descriptor, &identity) == 0);
  return identity;
}

static bool is(int descriptor, const char *kind) {
  bool same = strcmp(identity_of(descriptor).kind, kind) == 0;

  close(descriptor);
  return same;
}

static void test_kinds_are_told_apart(void) {
  struct fk_identity identity;
  int ends[2];

  CHECK(is(eventfd(0, 0), "eventfd"));
  CHECK(is(epoll_create1(0), "epoll"));
  CHECK(is(open("/", O_RDONLY), "directory"));
  CHECK(is(open("/dev/null", O_RDONLY), "device"));
  CHECK(is(open("/proc/self/stat", O_RDONLY), "file"));
  CHECK(is(socket(AF_UNIX, SOCK_STREAM, 0), "socket"));
  CHECK(pipe(ends) == 0);
  CHECK(identity_of(ends[0]).inode == identity_of(ends[1]).inode);
  CHECK(is(ends[0], "pipe") && is(ends[1], "pipe"));
  CHECK(fk_identify(ends[0], &identity) < 0 && errno == EBADF);
}

static void test_targets_are_the_kernels(void) {
  char text[64];
  int null = open("/dev/null", O_RDONLY);

  CHECK(fk_target(null, text, sizeof(text)) == 9 && memcmp(text, "/dev/null", 9) == 0);
  close(null);
  CHECK(fk_target(null, text, sizeof(text)) < 0 && errno == EBADF);
}

static void test_a_socket_tells_of_itself(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  struct fk_socket about;
  int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

  CHECK(fk_ask_socket(client, &about) == 0);
  CHECK(about.family == AF_INET && about.type == SOCK_STREAM && !about.listening && about.remote_size == 0);
  CHECK(bind(server, (struct sockaddr *)&address, size) == 0 && listen(server, 1) == 0);
  CHECK(getsockname(server, (struct sockaddr *)&address, &size) == 0);
  CHECK(fk_ask_socket(server, &about) == 0);
  CHECK(about.listening && memcmp(&about.local, &address, size) == 0);
  CHECK(connect(client, (struct sockaddr *)&address, size) == 0);
  CHECK(fk_ask_socket(client, &about) == 0);
  CHECK(about.remote_size == size && memcmp(&about.remote, &address, size) == 0);
  close(client);
  close(server);
  CHECK(fk_ask_socket(client, &about) < 0);
}

static void test_an_epoll_set_tells_what_it_watches(void) {
  struct epoll_event event = {.events = EPOLLIN};
  struct fk_watched watched;
  char path[64];
  int set = epoll_create1(0), ends[2], found = 0;

  CHECK(set >= 0 && pipe(ends) == 0);
  for (int i = 0; i < 2; i++)
    CHECK(epoll_ctl(set, EPOLL_CTL_ADD, ends[i], &event) == 0);
  (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", set);
  {
    char *text = fk_read_whole(path, NULL);
    const char *at = text;

    CHECK(text != NULL);
    while (fk_next_watched(&at, &watched)) {
      CHECK(watched.descriptor == ends[0] || watched.descriptor == ends[1]);
      CHECK(watched.inode == identity_of(ends[0]).inode);
      found++;
    }
    free(text);
  }
  CHECK(found == 2);
  for (int i = 0; i < 2; i++)
    close(ends[i]);
  close(set);
}

static void test_odd_texts_have_nothing_watched(void) {
  static const char *const texts[] = {"", "\n", "tfd:", "tfd: 1", "pos: 0\ntfd: 4 events: 1\n ino:5", "ino:1"};
  struct fk_watched watched;

  for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
    const char *at = texts[i];
    CHECK(!fk_next_watched(&at, &watched));
  }
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"kinds", test_kinds_are_told_apart},
      {"targets", test_targets_are_the_kernels},
      {"socket", test_a_socket_tells_of_itself},
      {"epoll", test_an_epoll_set_tells_what_it_watches},
      {"odd_texts", test_odd_texts_have_nothing_watched},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
