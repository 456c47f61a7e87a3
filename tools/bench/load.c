/* Load for echo servers: connections that each send a message, wait until all of it has come back, and send the next.
 *
 * usage: load ADDRESS CONNECTIONS SIZE MILLISECONDS
 * Prints the requests that were answered, the seconds that took, and the processor time of this program in seconds. */
#include "address.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define MOST 1024

struct connection {
  int descriptor;
  size_t sent;
  size_t received;
};

struct load {
  int epoll;
  size_t size; /* of a message */
  char *message;
  char *answer;
  struct connection connections[MOST];
  uint64_t answered;
  bool ending; /* answers are awaited, and nothing new is sent */
  int waiting; /* connections whose answer is not there yet */
};

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void watch(struct load *load, struct connection *connection, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(load->epoll, operation, connection->descriptor, &event) < 0) {
    fail("epoll_ctl");
  }
}

/* Send what is left of the message. */
static void send_message(struct load *load, struct connection *connection) {
  ssize_t count = send(connection->descriptor, load->message + connection->sent, load->size - connection->sent,
                       MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN) {
    fail("send");
  }
  size_t before = connection->sent;
  connection->sent += count > 0 ? (size_t)count : 0;
  bool was_blocked = before > 0 && before < load->size;
  bool is_blocked = connection->sent < load->size;
  if (was_blocked != is_blocked || (is_blocked && before == 0)) {
    watch(load, connection, EPOLL_CTL_MOD, is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}

static void receive_answer(struct load *load, struct connection *connection) {
  ssize_t count = recv(connection->descriptor, load->answer, load->size - connection->received, MSG_DONTWAIT);
  if (count == 0) {
    fprintf(stderr, "the server has closed a connection\n");
    exit(1);
  }
  if (count < 0) {
    if (errno != EAGAIN) {
      fail("recv");
    }
    return;
  }
  if (memcmp(load->answer, load->message + connection->received, (size_t)count) != 0) {
    fprintf(stderr, "the answer is not what was sent\n");
    exit(1);
  }
  connection->received += (size_t)count;
  if (connection->received == load->size) {
    load->answered++;
    connection->sent = connection->received = 0;
    if (load->ending) {
      load->waiting--;
    } else {
      send_message(load, connection);
    }
  }
}

/* Returns the second at which sending ended; all answers have been received then or later. */
static double run(struct load *load, double until) {
  struct epoll_event events[MOST];
  double now = 0;
  while (load->waiting > 0) {
    if (!load->ending && (now = seconds(CLOCK_MONOTONIC)) >= until) {
      load->ending = true;
    }
    int count = epoll_wait(load->epoll, events, MOST, 100);
    for (int i = 0; i < count; i++) {
      struct connection *connection = events[i].data.ptr;
      if ((events[i].events & EPOLLOUT) != 0) {
        send_message(load, connection);
      }
      if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
        receive_answer(load, connection);
      }
    }
  }
  return now;
}

static long number(const char *text, long most) {
  char *end;
  long value = strtol(text, &end, 10);
  if (*end != '\0' || value < 1 || value > most) {
    fprintf(stderr, "not a number from 1 to %ld: %s\n", most, text);
    exit(2);
  }
  return value;
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: load ADDRESS CONNECTIONS SIZE MILLISECONDS\n");
    return 2;
  }
  struct address address = address_parse(argv[1]);
  long count = number(argv[2], MOST);
  struct load *load = calloc(1, sizeof *load);
  if (load == NULL) {
    fail("memory");
  }
  load->size = (size_t)number(argv[3], 1L << 30);
  long milliseconds = number(argv[4], 3600000);
  load->message = malloc(load->size);
  load->answer = malloc(load->size);
  load->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (load->message == NULL || load->answer == NULL || load->epoll < 0) {
    fail("memory");
  }
  for (size_t i = 0; i < load->size; i++) {
    load->message[i] = (char)(i * 31 + i / 251);
  }
  for (long i = 0; i < count; i++) {
    struct connection *connection = &load->connections[i];
    connection->descriptor = socket(address.value.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->descriptor < 0 ||
        connect(connection->descriptor, (struct sockaddr *)&address.value, address.size) < 0) {
      fail("connect");
    }
    send_at_once(connection->descriptor);
    watch(load, connection, EPOLL_CTL_ADD, EPOLLIN);
  }
  double began = seconds(CLOCK_MONOTONIC);
  for (long i = 0; i < count; i++) {
    send_message(load, &load->connections[i]);
  }
  load->waiting = (int)count;
  double ended = run(load, began + (double)milliseconds / 1e3);
  printf("%llu %.6f %.6f\n", (unsigned long long)load->answered, ended - began, seconds(CLOCK_PROCESS_CPUTIME_ID));
  return 0;
}
