/* Peers on what they make themselves: listening and bound sockets, pairs, many connections; used by many threads. */

#include <errno.h>
#include <unistd.h>

#include "cases.h"
#include "pattern.h"
#include "peer.h"

#define SIZE 300000u
#define MANY 50

static const struct fk_endpoint nothing = {.descriptor = -1};
static const struct fk_buffers as_they_are = {0, 0};

static struct fk_peer *start(const struct fk_step *steps, size_t count, struct fk_endpoint listener,
                             struct fk_endpoint connection) {
  struct fk_script script = {malloc(count * sizeof *steps), count};
  const char *reason;

  CHECK(script.steps != NULL);
  memcpy(script.steps, steps, count * sizeof *steps);
  CHECK(fk_script_check(&script, connection.kind != FK_NOTHING, listener.kind != FK_NOTHING, &reason) == count);
  struct fk_peer *peer = fk_peer_start(&script, listener, connection, fk_now() + 60 * FK_SECOND);
  CHECK(peer != NULL);
  return peer;
}

static void finish(struct fk_peer *peer) {
  fk_peer_join(peer);
  CHECK(fk_peer_completed(peer) == peer->script.count);
  fk_peer_destroy(peer);
}

static struct fk_address address_of(const struct fk_endpoint *endpoint) {
  struct fk_address address = {.size = sizeof address.value};

  CHECK(getsockname(endpoint->descriptor, (struct sockaddr *)&address.value, &address.size) == 0);
  return address;
}

static void test_every_pair_passes_the_pattern(void) {
  static const enum fk_pair pairs[] = {FK_PAIR_TCP,       FK_PAIR_UNIX,       FK_PAIR_DATAGRAM,    FK_PAIR_PIPE_SOURCE,
                                       FK_PAIR_PIPE_SINK, FK_PAIR_PTY_MASTER, FK_PAIR_PTY_TERMINAL};
  static size_t chunks[] = {1, 1000, 7};

  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    struct fk_endpoint ends[2];
    int other;
    CHECK(fk_endpoint_pair(&ends[0], pairs[i], &other, &as_they_are) == 0);
    CHECK(fk_endpoint_adopt(&ends[1], other) == 0);
    close(other);
    int sender = pairs[i] == FK_PAIR_PIPE_SINK;
    struct fk_step sends[] = {{.verb = FK_VERB_send_pattern, .seed = 3, .size = 50000}, {.verb = FK_VERB_hold}};
    struct fk_step expects = {.verb = FK_VERB_expect_pattern, .seed = 3, .size = 50000};
    if (pairs[i] == FK_PAIR_DATAGRAM) { /* the script owns its sizes */
      sends[0].chunks = (struct fk_sizes){memcpy(malloc(sizeof chunks), chunks, sizeof chunks), 3};
      expects.chunks = (struct fk_sizes){memcpy(malloc(sizeof chunks), chunks, sizeof chunks), 3};
    }
    struct fk_peer *sending = start(sends, 2, nothing, ends[sender]);
    struct fk_peer *receiving = start(&expects, 1, nothing, ends[!sender]);
    fk_peer_join(receiving);
    CHECK(fk_peer_record(receiving, 0).bytes == 50000);
    finish(receiving);
    fk_peer_release(sending, 1); /* a master that closes earlier takes with it what its terminal has not read */
    finish(sending);
  }
}

static void test_many_connections_of_one_peer(void) {
  static const int families[] = {AF_INET, AF_INET6, AF_UNIX};

  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    struct fk_endpoint listener;
    CHECK(fk_endpoint_listen(&listener, families[i], MANY, &as_they_are) == 0);
    struct fk_step serves[] = {
        {.verb = FK_VERB_accept, .count = MANY},
        {.verb = FK_VERB_echo, .size = 100},
        {.verb = FK_VERB_use, .first = 7, .count = 1},
        {.verb = FK_VERB_reset},
        {.verb = FK_VERB_unlisten},
    };
    struct fk_step asks[] = {
        {.verb = FK_VERB_connect, .count = MANY, .type = SOCK_STREAM, .address = address_of(&listener)},
        {.verb = FK_VERB_send_pattern, .seed = 1, .size = 100},
        {.verb = FK_VERB_expect_pattern, .seed = 1, .size = 100},
    };
    struct fk_peer *server = start(serves, 5, listener, nothing);
    struct fk_peer *client = start(asks, 3, nothing, nothing);
    fk_peer_join(client);
    CHECK(fk_peer_record(client, 2).bytes == MANY * 100);
    finish(client);
    finish(server);
  }
}

static void test_datagrams_are_answered(void) {
  static const int families[] = {AF_INET, AF_INET6, AF_UNIX};

  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    struct fk_endpoint bound;
    struct fk_address local = {.value = {.ss_family = (sa_family_t)families[i]}, .size = sizeof(sa_family_t)};
    CHECK(fk_endpoint_bind(&bound, families[i], &as_they_are) == 0);
    if (families[i] != AF_UNIX)
      local.size = 0;
    struct fk_step answers[] = {{.verb = FK_VERB_receive, .size = 0}, {.verb = FK_VERB_echo, .size = 60000}};
    struct fk_step asks[] = {
        {.verb = FK_VERB_connect, .count = 1, .type = SOCK_DGRAM, .address = address_of(&bound), .local = local},
        {.verb = FK_VERB_send, .data = {malloc(1), 0}},
        {.verb = FK_VERB_send_pattern, .seed = 1, .size = 60000},
        {.verb = FK_VERB_expect_pattern, .seed = 1, .size = 60000},
    };
    struct fk_peer *server = start(answers, 2, nothing, bound);
    struct fk_peer *client = start(asks, 4, nothing, nothing);
    finish(client);
    finish(server);
  }
}

static void test_descriptors_are_passed(void) {
  struct fk_step steps[] = {
      {.verb = FK_VERB_send_ancillary, .descriptors = 253, .credentials = true},
      {.verb = FK_VERB_expect_descriptors_closed},
  };
  struct fk_endpoint endpoint;
  int other;
  char byte;

  steps[0].data = (struct fk_bytes){malloc(1), 1};
  CHECK(steps[0].data.data != NULL);
  steps[0].data.data[0] = 'x';
  CHECK(fk_endpoint_pair(&endpoint, FK_PAIR_UNIX, &other, &as_they_are) == 0);
  struct fk_peer *peer = start(steps, 2, nothing, endpoint);
  CHECK(read(other, &byte, 1) == 1 && byte == 'x');
  finish(peer);
  close(other);
}

static void test_silence_and_its_end(void) {
  struct fk_step steps[] = {{.verb = FK_VERB_expect_silence, .pause = FK_SECOND / 100},
                            {.verb = FK_VERB_expect_silence, .pause = 60 * FK_SECOND}};
  struct fk_endpoint endpoint;
  int other;

  CHECK(fk_endpoint_pair(&endpoint, FK_PAIR_UNIX, &other, &as_they_are) == 0);
  struct fk_peer *peer = start(steps, 2, nothing, endpoint);
  CHECK(fk_peer_wait(peer, 1, fk_now() + 60 * FK_SECOND));
  close(other);
  fk_peer_join(peer);
  struct fk_record record = fk_peer_record(peer, 1);
  CHECK(record.state == FK_FAILED);
  CHECK(strstr(record.detail, "the end of the stream") != NULL);
  fk_peer_destroy(peer);
}

/* What a script is checked for, and the index of the step that is refused. */
static void test_what_makes_no_sense_is_refused(void) {
  static const struct {
    struct fk_step steps[4];
    size_t wrong;
  } scripts[] = {
      {{{.verb = FK_VERB_send}}, 0},
      {{{.verb = FK_VERB_use, .first = 0, .count = 1}}, 0},
      {{{.verb = FK_VERB_accept, .count = 2}, {.verb = FK_VERB_use, .first = 1, .count = UINT64_MAX}}, 1},
      {{{.verb = FK_VERB_accept, .count = 2}, {.verb = FK_VERB_close}, {.verb = FK_VERB_drain}}, 2},
      {{{.verb = FK_VERB_accept, .count = 2}, {.verb = FK_VERB_shutdown}, {.verb = FK_VERB_echo}}, 2},
      {{{.verb = FK_VERB_unlisten}, {.verb = FK_VERB_accept, .count = 1}}, 1},
      {{{.verb = FK_VERB_accept, .count = FK_MOST_CONNECTIONS}, {.verb = FK_VERB_accept, .count = 1}}, 0},
      {{{.verb = FK_VERB_hold}, {.verb = FK_VERB_accept, .count = 1}, {.verb = FK_VERB_drain}}, 4},
  };

  for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
    struct fk_step steps[4];
    struct fk_script script = {steps, 4};
    const char *reason = NULL;
    memcpy(steps, scripts[i].steps, sizeof steps);
    for (size_t step = 0; step < 4; step++)
      if (step > 0 && steps[step].verb == FK_VERB_accept && steps[step].count == 0)
        steps[step].verb = FK_VERB_hold; /* the rest of a shorter script */
    CHECK(fk_script_check(&script, false, true, &reason) == scripts[i].wrong);
    CHECK((reason != NULL) == (scripts[i].wrong < 4));
  }
}

static void *use(void *argument) {
  struct fk_peer *peer = argument;

  while (!fk_peer_wait(peer, SIZE_MAX, 0)) {
    fk_peer_release(peer, 1);
    (void)fk_peer_record(peer, fk_peer_completed(peer) % peer->script.count);
  }
  fk_peer_join(peer);
  return NULL;
}

static void test_many_threads_use_a_peer(void) {
  struct fk_step steps[100];
  pthread_t threads[4];

  for (size_t i = 0; i < 100; i++)
    steps[i] = (struct fk_step){.verb = FK_VERB_hold};
  struct fk_peer *peer = start(steps, 100, nothing, nothing);
  for (size_t i = 0; i < 4; i++)
    CHECK(pthread_create(&threads[i], NULL, use, peer) == 0);
  for (size_t i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  finish(peer);
}

static void test_a_stop_at_any_time(void) {
  struct fk_step steps[] = {{.verb = FK_VERB_accept, .count = 3}, {.verb = FK_VERB_send_pattern, .size = SIZE * 100}};

  for (int i = 0; i < 300; i++) {
    struct fk_endpoint listener;
    CHECK(fk_endpoint_listen(&listener, AF_UNIX, 5, &as_they_are) == 0);
    struct fk_step connects[] = {
        {.verb = FK_VERB_connect, .count = 3, .type = SOCK_STREAM, .address = address_of(&listener)},
        {.verb = FK_VERB_drain}};
    struct fk_peer *server = start(steps, 2, listener, nothing);
    struct fk_peer *client = start(connects, 2, nothing, nothing);
    if (i % 3 == 0)
      CHECK(fk_peer_wait(server, 1, fk_now() + 60 * FK_SECOND));
    fk_peer_destroy(i % 2 == 0 ? server : client);
    fk_peer_destroy(i % 2 == 0 ? client : server);
  }
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"pairs", test_every_pair_passes_the_pattern}, {"connections", test_many_connections_of_one_peer},
      {"datagrams", test_datagrams_are_answered},    {"descriptors", test_descriptors_are_passed},
      {"silence", test_silence_and_its_end},         {"check", test_what_makes_no_sense_is_refused},
      {"threads", test_many_threads_use_a_peer},     {"stops", test_a_stop_at_any_time},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
