/* Scripts of peers: a list of steps, each a verb with the values of its fields. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_SCRIPT_H
#define LOOPPROOF_FAULTKIT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Every verb, in the order of `enum fk_verb`; what each does is told in steps.c, where Python gets it from. */
#define FK_VERBS(X)                                                                                                    \
  X(accept)                                                                                                            \
  X(connect)                                                                                                           \
  X(buffers)                                                                                                           \
  X(send)                                                                                                              \
  X(send_pattern)                                                                                                      \
  X(receive)                                                                                                           \
  X(expect)                                                                                                            \
  X(expect_pattern)                                                                                                    \
  X(expect_eof)                                                                                                        \
  X(expect_reset)                                                                                                      \
  X(drain)                                                                                                             \
  X(echo)                                                                                                              \
  X(pause)                                                                                                             \
  X(hold)                                                                                                              \
  X(shutdown)                                                                                                          \
  X(close)                                                                                                             \
  X(reset)

enum fk_verb {
#define FK_VERB(name) FK_VERB_##name,
  FK_VERBS(FK_VERB)
#undef FK_VERB
      FK_VERB_COUNT
};

/* Bytes that the step owns. */
struct fk_bytes {
  uint8_t *data;
  size_t size;
};

/* Sizes that the step owns; they are used in turn, over and over. No sizes: one piece. */
struct fk_sizes {
  size_t *values;
  size_t count;
};

struct fk_address {
  struct sockaddr_storage value;
  socklen_t size;
};

struct fk_step {
  enum fk_verb verb;
  uint64_t seed;
  uint64_t size;
  uint64_t offset;
  int64_t pause; /* nanoseconds */
  int receive_buffer;
  int send_buffer;
  struct fk_bytes data;
  struct fk_sizes chunks;
  struct fk_address address;
};

struct fk_script {
  struct fk_step *steps;
  size_t count;
};

const char *fk_verb_name(enum fk_verb verb);

/* The verb of that name; FK_VERB_COUNT if there is none. */
enum fk_verb fk_verb_named(const char *name);

/* Free what a step owns and make it empty. */
void fk_step_clear(struct fk_step *step);

/* Free what a script owns and make it empty. */
void fk_script_clear(struct fk_script *script);

/* Find the first step that can never work given what the peer starts with. Returns its index and sets `*reason`, a
 * constant text; returns the number of steps if there is none. */
size_t fk_script_check(const struct fk_script *script, bool connected, bool listening, const char **reason);

#endif
