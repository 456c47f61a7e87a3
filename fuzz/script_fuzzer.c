/* libFuzzer target: any bytes as a script, which is checked and, if it makes sense, played on a socket pair. Addresses
 * are left out, so nothing is ever sent to anybody else; every peer ends within milliseconds. See README.md. */
#include "pattern.h"
#include "peer.h"
#include "tls_identity.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIFETIME (FK_SECOND / 200)
#define MOST_STEPS 64
#define MOST_BYTES 64

/* The input, which is eaten from the front; what is missing is zero. */
struct input {
  const uint8_t *data;
  size_t left;
};

static uint8_t eat_byte(struct input *input) {
  if (input->left == 0) {
    return 0;
  }
  input->left--;
  return *input->data++;
}

/* Numbers that matter are small, or near the limits. */
static uint64_t eat_number(struct input *input, uint64_t limit) {
  uint8_t kind = eat_byte(input);
  if (kind < 200) {
    return kind;
  }
  uint64_t number = 0;
  for (int i = 0; i < kind % 8 + 1; i++) {
    number = number << 8 | eat_byte(input);
  }
  return kind < 240 ? number % (limit + 1) : limit - number % 16;
}

static void eat_data(struct input *input, struct fk_bytes *bytes) {
  size_t size = eat_byte(input) % MOST_BYTES;
  bytes->data = calloc(1, size + 1);
  for (size_t i = 0; bytes->data != NULL && i < size; i++) {
    bytes->data[i] = eat_byte(input);
  }
  bytes->size = bytes->data == NULL ? 0 : size;
}

static void eat_chunks(struct input *input, struct fk_sizes *sizes) {
  size_t count = eat_byte(input) % 5;
  sizes->values = calloc(count + 1, sizeof *sizes->values);
  for (size_t i = 0; sizes->values != NULL && i < count; i++) {
    sizes->values[i] = (size_t)eat_number(input, FK_PATTERN_LIMIT - 1) + 1;
  }
  sizes->count = sizes->values == NULL ? 0 : count;
}

/* Of the servers of the whole run. */
static struct identity identity;

static void eat_tls(struct input *input, struct fk_step *step, uint8_t flags) {
  struct fk_tls_settings server = {
      .server = true, .certificate = identity.certificate, .key = identity.key, .tickets = eat_byte(input) % 4};
  struct fk_tls_settings client = {.server = false};
  if (step->verb == FK_VERB_tls_server || step->verb == FK_VERB_tls_client) {
    step->tls_context = make_context(step->verb == FK_VERB_tls_server ? &server : &client);
  }
  step->fragment = eat_number(input, FK_TLS_PLAINTEXT);
  step->flights = eat_byte(input) % 4;
  step->record = eat_number(input, FK_PATTERN_LIMIT);
  step->code = eat_byte(input);
  step->level = eat_byte(input);
  step->mask = eat_byte(input);
  step->request = (flags & 0x20) != 0;
  step->resume = (flags & 0x40) != 0;
}

/* A step whose fields are in the ranges that values.c lets through. */
static void eat_step(struct input *input, struct fk_step *step) {
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  uint8_t flags = eat_byte(input);
  step->verb = (enum fk_verb)(eat_byte(input) % FK_VERB_COUNT);
  step->seed = eat_number(input, UINT64_MAX - 1);
  step->size = eat_number(input, FK_PATTERN_LIMIT);
  step->offset = eat_number(input, FK_PATTERN_LIMIT - step->size);
  step->offset = step->offset > FK_PATTERN_LIMIT - step->size ? 0 : step->offset;
  step->first = eat_number(input, FK_MOST_CONNECTIONS - 1);
  step->count = (flags & 0x80) != 0 ? eat_number(input, FK_MOST_CONNECTIONS - 1) + 1 : 1;
  step->descriptors = eat_byte(input) % 254;
  step->pause = (int64_t)eat_number(input, UINT64_C(86400) * FK_SECOND);
  step->type = types[flags % 3];
  step->more = (flags & 0x04) != 0;
  step->urgent = (flags & 0x08) != 0;
  step->credentials = (flags & 0x10) != 0;
  step->buffers = (struct fk_buffers){(int)eat_number(input, INT32_MAX), (int)eat_number(input, INT32_MAX)};
  eat_data(input, &step->data);
  eat_chunks(input, &step->chunks);
  if (step->verb >= FK_VERB_tls_server) {
    eat_tls(input, step, flags);
  }
}

static struct fk_script eat_script(struct input *input) {
  struct fk_script script = {calloc(MOST_STEPS, sizeof *script.steps), 0};
  while (script.steps != NULL && script.count < MOST_STEPS && input->left > 0) {
    eat_step(input, &script.steps[script.count++]);
  }
  return script;
}

/* Few enough connections to be made in the time that there is. */
static bool is_small(const struct fk_script *script) { return fk_script_connections(script) <= 64; }

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  identity = make_identity();
  (void)signal(SIGPIPE, SIG_IGN); /* as Python does */
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const struct fk_buffers as_they_are = {0, 0};
  static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
  struct input input = {data, size};
  struct fk_endpoint listener = {.descriptor = -1};
  struct fk_endpoint connection = {.descriptor = -1};
  int other = -1;
  uint8_t scene = eat_byte(&input);
  struct fk_script script = eat_script(&input);
  const char *reason;
  if (scene < 8) {
    (void)fk_endpoint_pair(&connection, (enum fk_pair)(scene % 7), &other, &as_they_are);
  } else if (scene < 128) {
    (void)fk_endpoint_listen(&listener, families[scene % 3], scene % 8, &as_they_are);
  } else {
    (void)fk_endpoint_bind(&connection, families[scene % 3], &as_they_are);
  }
  size_t wrong = fk_script_check(&script, connection.kind != FK_NOTHING, listener.kind != FK_NOTHING, &reason);
  if (wrong < script.count || !is_small(&script)) {
    fk_script_clear(&script);
    fk_endpoint_close(&listener);
    fk_endpoint_close(&connection);
  } else {
    struct fk_peer *peer = fk_peer_start(&script, listener, connection, fk_now() + LIFETIME);
    if (peer != NULL) {
      if (other >= 0) {
        (void)!write(other, data, size < 64 ? size : 64);
      }
      fk_peer_release(peer, scene % 4);
      fk_peer_join(peer);
      fk_peer_destroy(peer);
    }
  }
  if (other >= 0) {
    close(other);
  }
  return 0;
}
