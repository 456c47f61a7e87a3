/* Peers that speak TLS without Python: two of them against each other. */

#include <sys/socket.h>
#include <unistd.h>

#include "cases.h"
#include "peer.h"
#include "tls_identity.h"

#define SIZE 300000u
#define MOST_STEPS 8

/* A peer on one end of a connection. Its first step begins TLS, and owns the context; the others are copied. */
static struct fk_peer *begin(const struct fk_tls_settings *settings, const struct fk_step *steps, int end) {
  struct fk_script script = {calloc(MOST_STEPS, sizeof *script.steps), 1};
  struct fk_endpoint connection;
  struct fk_peer *peer;
  const char *reason;

  CHECK(script.steps != NULL);
  script.steps[0] = (struct fk_step){.verb = settings->server ? FK_VERB_tls_server : FK_VERB_tls_client,
                                     .tls_context = make_context(settings)};
  for (; steps->verb != FK_VERB_COUNT; steps++)
    script.steps[script.count++] = *steps;
  CHECK(fk_script_check(&script, true, false, &reason) == script.count);
  CHECK(fk_endpoint_adopt(&connection, end) == 0);
  close(end);
  peer = fk_peer_start(&script, (struct fk_endpoint){.descriptor = -1}, connection, fk_now() + 60 * FK_SECOND);
  CHECK(peer != NULL);
  return peer;
}

/* A server and a client, connected with each other. */
static void begin_both(const char *version, const struct fk_step *server_steps, const struct fk_step *client_steps,
                       struct fk_peer *peers[2]) {
  struct identity identity = make_identity();
  struct fk_tls_settings server = {
      .server = true, .certificate = identity.certificate, .key = identity.key, .version = text(version), .tickets = 2};
  struct fk_tls_settings client = {.authority = identity.certificate, .server_name = text("localhost")};
  int ends[2];

  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  peers[0] = begin(&server, server_steps, ends[0]);
  peers[1] = begin(&client, client_steps, ends[1]);
  free_identity(&identity);
}

static void expect_all_done(struct fk_peer *peer) {
  fk_peer_join(peer);
  for (size_t i = 0; i < peer->script.count; i++) {
    struct fk_record record = fk_peer_record(peer, i);
    if (record.state != FK_DONE) {
      fprintf(stderr, "step %zu, %s: %s\n", i + 1, fk_verb_name(peer->script.steps[i].verb), record.detail);
      exit(1);
    }
  }
  fk_peer_destroy(peer);
}

static void test_peers_exchange_patterns(void) {
  static size_t sizes[] = {1, 1460, 100000};
  static const char *const versions[] = {"1.2", "1.3"};
  for (size_t i = 0; i < 2; i++) {
    struct fk_sizes segments = {malloc(sizeof sizes), sizeof sizes / sizeof *sizes};
    struct fk_peer *peers[2];
    CHECK(segments.values != NULL);
    memcpy(segments.values, sizes, sizeof sizes);
    const struct fk_step server[] = {{.verb = FK_VERB_tls_handshake},
                                     {.verb = FK_VERB_tls_segments, .chunks = segments},
                                     {.verb = FK_VERB_send_pattern, .seed = 1, .size = SIZE},
                                     {.verb = FK_VERB_expect_pattern, .seed = 2, .size = SIZE},
                                     {.verb = FK_VERB_tls_close_notify},
                                     {.verb = FK_VERB_tls_expect_close_notify},
                                     {.verb = FK_VERB_COUNT}};
    const struct fk_step client[] = {{.verb = FK_VERB_tls_handshake},
                                     {.verb = FK_VERB_expect_pattern, .seed = 1, .size = SIZE},
                                     {.verb = FK_VERB_send_pattern, .seed = 2, .size = SIZE},
                                     {.verb = FK_VERB_tls_expect_close_notify},
                                     {.verb = FK_VERB_tls_close_notify},
                                     {.verb = FK_VERB_COUNT}};
    begin_both(versions[i], server, client, peers);
    expect_all_done(peers[0]);
    expect_all_done(peers[1]);
  }
}

static void test_a_truncation_is_seen(void) {
  const struct fk_step server[] = {
      {.verb = FK_VERB_tls_handshake}, {.verb = FK_VERB_receive, .size = 1}, {.verb = FK_VERB_COUNT}};
  struct fk_bytes one = {malloc(1), 1};
  const struct fk_step client[] = {{.verb = FK_VERB_tls_handshake},
                                   {.verb = FK_VERB_send, .data = one},
                                   {.verb = FK_VERB_tls_expect_truncation},
                                   {.verb = FK_VERB_COUNT}};
  struct fk_peer *peers[2];

  CHECK(one.data != NULL);
  *one.data = 'x';
  begin_both("1.3", server, client, peers);
  expect_all_done(peers[0]);
  expect_all_done(peers[1]);
}

static void test_a_stop_in_the_middle_leaves_nothing_behind(void) {
  const struct fk_step server[] = {
      {.verb = FK_VERB_tls_cork}, {.verb = FK_VERB_tls_handshake}, {.verb = FK_VERB_COUNT}};
  const struct fk_step client[] = {{.verb = FK_VERB_tls_handshake}, {.verb = FK_VERB_COUNT}};
  struct fk_peer *peers[2];

  begin_both("1.3", server, client, peers);
  CHECK(fk_peer_wait(peers[0], 2, fk_now() + 60 * FK_SECOND));
  CHECK(!fk_peer_wait(peers[0], 3, fk_now() + FK_SECOND / 20));
  for (size_t i = 0; i < 2; i++)
    fk_peer_stop(peers[i]);
  fk_peer_join(peers[0]);
  CHECK(fk_peer_record(peers[0], 2).state == FK_STOPPED);
  fk_peer_destroy(peers[0]);
  fk_peer_destroy(peers[1]);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"exchange", test_peers_exchange_patterns},
      {"truncation", test_a_truncation_is_seen},
      {"stop", test_a_stop_in_the_middle_leaves_nothing_behind},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
