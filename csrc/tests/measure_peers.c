/* Figures of peers: the pattern over loopback TCP against plain send() and recv() in the same run, what a peer costs,
 * many at once. Not a test: nothing here passes or fails. Run it with tools/measure-peers. */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "cases.h"
#include "peer.h"

#define PIECE FK_BUFFER
#define ROUNDS 11
#define TRIVIAL 2000
#define MANY 1000

static const struct fk_endpoint nothing = {.descriptor = -1};
static const struct fk_buffers as_they_are = {0, 0};

static double seconds_since(int64_t time) { return (double)(fk_now() - time) / (double)FK_SECOND; }

static struct fk_peer *start(const struct fk_step *steps, size_t count, struct fk_endpoint connection) {
  struct fk_script script = {malloc((count + 1) * sizeof *steps), count};

  CHECK(script.steps != NULL);
  memcpy(script.steps, steps, count * sizeof *steps);
  struct fk_peer *peer = fk_peer_start(&script, nothing, connection, fk_now() + 600 * FK_SECOND);
  CHECK(peer != NULL);
  return peer;
}

/* Join, check that all went well, free. */
static void finish(struct fk_peer *peer) {
  fk_peer_join(peer);
  CHECK(fk_peer_completed(peer) == peer->script.count);
  fk_peer_destroy(peer);
}

struct transfer {
  int descriptor;
  uint64_t size;
};

static void *send_plainly(void *argument) {
  const struct transfer *transfer = argument;
  uint8_t *data = calloc(1, PIECE);

  CHECK(data != NULL);
  for (uint64_t left = transfer->size; left > 0;) {
    ssize_t sent = send(transfer->descriptor, data, left < PIECE ? (size_t)left : PIECE, MSG_NOSIGNAL);
    CHECK(sent > 0);
    left -= (uint64_t)sent;
  }
  free(data);
  return NULL;
}

static void *receive_plainly(void *argument) {
  const struct transfer *transfer = argument;
  uint8_t *data = malloc(PIECE);

  CHECK(data != NULL);
  for (uint64_t left = transfer->size; left > 0;) {
    ssize_t got = recv(transfer->descriptor, data, left < PIECE ? (size_t)left : PIECE, 0);
    CHECK(got > 0);
    left -= (uint64_t)got;
  }
  free(data);
  return NULL;
}

/* A TCP pair whose first end belongs to the kit. */
static int make_pair(struct fk_endpoint *endpoint) {
  int other;
  int on = 1;

  CHECK(fk_endpoint_pair(endpoint, FK_PAIR_TCP, &other, &as_they_are) == 0);
  CHECK(setsockopt(other, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
  return other;
}

/* Bytes a second; plain code on both sides. */
static double plain_rate(uint64_t size) {
  struct fk_endpoint endpoint;
  int other = make_pair(&endpoint);
  struct transfer sent = {endpoint.descriptor, size};
  struct transfer received = {other, size};
  pthread_t sender;
  pthread_t receiver;
  int64_t begun = fk_now();

  CHECK(pthread_create(&sender, NULL, send_plainly, &sent) == 0);
  CHECK(pthread_create(&receiver, NULL, receive_plainly, &received) == 0);
  pthread_join(sender, NULL);
  pthread_join(receiver, NULL);
  double rate = (double)size / seconds_since(begun);
  fk_endpoint_close(&endpoint);
  close(other);
  return rate;
}

/* Bytes a second; a peer that sends the pattern, to plain code or to a peer that verifies it. */
static double pattern_rate(uint64_t size, bool received_plainly) {
  struct fk_endpoint endpoint;
  struct fk_endpoint opposite;
  struct fk_step sending = {.verb = FK_VERB_send_pattern, .seed = 7, .size = size};
  struct fk_step receiving = {.verb = FK_VERB_expect_pattern, .seed = 7, .size = size};
  int other = make_pair(&endpoint);
  struct transfer transfer = {other, size};
  int64_t begun = fk_now();
  struct fk_peer *sender = start(&sending, 1, endpoint);

  if (received_plainly) {
    (void)receive_plainly(&transfer);
  } else {
    CHECK(fk_endpoint_adopt(&opposite, other) == 0);
    finish(start(&receiving, 1, opposite));
  }
  finish(sender);
  double rate = (double)size / seconds_since(begun);
  close(other);
  return rate;
}

static int compare(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return (difference > 0) - (difference < 0);
}

static double median(double *values) {
  qsort(values, ROUNDS, sizeof *values, compare);
  return values[ROUNDS / 2];
}

/* The machine may be busy with other things: what counts is the ratio within a round, of which the median is taken. */
static void measure_throughput(uint64_t size) {
  double plain[ROUNDS];
  double sending[ROUNDS];
  double both[ROUNDS];

  (void)plain_rate(size / 4); /* warm up */
  for (int round = 0; round < ROUNDS; round++) {
    plain[round] = plain_rate(size);
    sending[round] = pattern_rate(size, true) / plain[round];
    both[round] = pattern_rate(size, false) / plain[round];
  }
  printf("plain send() to plain recv():            %6.2f GB/s (medians of %d rounds of %.1f GB)\n", median(plain) / 1e9,
         ROUNDS, (double)size / 1e9);
  printf("peer that sends the pattern to recv():   %6.0f %% of that in the same round\n", 100 * median(sending));
  printf("the same, to a peer that verifies it:    %6.0f %%\n", 100 * median(both));
}

static void measure_trivial(void) {
  struct fk_step step = {.verb = FK_VERB_pause};
  int64_t begun = fk_now();

  for (int i = 0; i < TRIVIAL; i++) {
    finish(start(&step, 1, nothing));
  }
  printf("a peer that does nothing, start to end:  %6.1f us (mean of %d)\n", seconds_since(begun) / TRIVIAL * 1e6,
         TRIVIAL);
}

static void measure_many(void) {
  static struct fk_peer *peers[MANY];
  struct fk_step steps[] = {{.verb = FK_VERB_hold}, {.verb = FK_VERB_expect_pattern, .seed = 3, .size = 10000}};
  struct fk_step opposite = {.verb = FK_VERB_send_pattern, .seed = 3, .size = 10000};
  int64_t begun = fk_now();
  int others[MANY];

  for (int i = 0; i < MANY; i++) {
    struct fk_endpoint endpoint;
    CHECK(fk_endpoint_pair(&endpoint, FK_PAIR_UNIX, &others[i], &as_they_are) == 0);
    peers[i] = start(steps, 2, endpoint);
  }
  for (int i = 0; i < MANY; i++) {
    struct fk_endpoint endpoint;
    CHECK(fk_endpoint_adopt(&endpoint, others[i]) == 0);
    close(others[i]);
    fk_peer_release(peers[i], 1);
    finish(start(&opposite, 1, endpoint));
  }
  for (int i = 0; i < MANY; i++) {
    finish(peers[i]);
  }
  printf("%d peers at once, 10 kB for each:      %6.1f ms\n", MANY, seconds_since(begun) * 1e3);
}

int main(int argc, char **argv) {
  uint64_t size = argc > 1 ? strtoull(argv[1], NULL, 10) : UINT64_C(2000000000);

  measure_throughput(size);
  measure_trivial();
  measure_many();
  return 0;
}
