/* Scripts of peers: a list of steps, each a verb with the values of its fields. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_SCRIPT_H
#define LOOPPROOF_FAULTKIT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Every verb and what it acts on. A new verb needs a line here, its fields in steps.c, its docstring in step_docs.h,
 * and a function fk_do_<verb> (actions.h) in the room that it belongs to.
 *
 *   OPENS  makes `count` connections, which are selected from then on
 *   EACH   acts on each selected connection, one after the other
 *   CLOSES the same, and the connection is gone then
 *   ONCE   acts once, whatever is selected
 */
#define FK_VERBS(X)                                                                                                    \
  X(accept, OPENS)                                                                                                     \
  X(connect, OPENS)                                                                                                    \
  X(use, ONCE)                                                                                                         \
  X(unlisten, ONCE)                                                                                                    \
  X(buffers, EACH)                                                                                                     \
  X(send, EACH)                                                                                                        \
  X(send_pattern, EACH)                                                                                                \
  X(send_ancillary, EACH)                                                                                              \
  X(receive, EACH)                                                                                                     \
  X(expect, EACH)                                                                                                      \
  X(expect_pattern, EACH)                                                                                              \
  X(expect_silence, EACH)                                                                                              \
  X(expect_eof, EACH)                                                                                                  \
  X(expect_reset, CLOSES)                                                                                              \
  X(expect_descriptors_closed, ONCE)                                                                                   \
  X(drain, EACH)                                                                                                       \
  X(echo, EACH)                                                                                                        \
  X(pause, ONCE)                                                                                                       \
  X(hold, ONCE)                                                                                                        \
  X(shutdown, EACH)                                                                                                    \
  X(close, CLOSES)                                                                                                     \
  X(reset, CLOSES)                                                                                                     \
  FK_TLS_VERBS(X)

/* The verbs of TLS, last of all and the two that begin it first: fields in tls_fields.h, docstrings in tls_docs.h,
 * functions in tls_actions.c. */
#define FK_TLS_VERBS(X)                                                                                                \
  X(tls_server, EACH)                                                                                                  \
  X(tls_client, EACH)                                                                                                  \
  X(tls_early_data, EACH)                                                                                              \
  X(tls_handshake, EACH)                                                                                               \
  X(tls_segments, EACH)                                                                                                \
  X(tls_cork, EACH)                                                                                                    \
  X(tls_arrange, EACH)                                                                                                 \
  X(tls_corrupt, EACH)                                                                                                 \
  X(tls_cut, EACH)                                                                                                     \
  X(tls_uncork, EACH)                                                                                                  \
  X(tls_raw, EACH)                                                                                                     \
  X(tls_record, EACH)                                                                                                  \
  X(tls_alert, EACH)                                                                                                   \
  X(tls_close_notify, EACH)                                                                                            \
  X(tls_renegotiate, EACH)                                                                                             \
  X(tls_key_update, EACH)                                                                                              \
  X(tls_tickets, EACH)                                                                                                 \
  X(tls_expect_alert, EACH)                                                                                            \
  X(tls_expect_message, EACH)                                                                                          \
  X(tls_expect_close_notify, EACH)                                                                                     \
  X(tls_expect_truncation, EACH)                                                                                       \
  X(tls_forget, EACH)

enum fk_verb {
#define FK_VERB(name, scope) FK_VERB_##name,
  FK_VERBS(FK_VERB)
#undef FK_VERB
      FK_VERB_COUNT
};

enum fk_scope { FK_OPENS, FK_EACH, FK_CLOSES, FK_ONCE };

/* Connections that one script can make. */
#define FK_MOST_CONNECTIONS 100000
/* How often a script can act: each step counts once for each connection that it acts on. */
#define FK_MOST_ACTS 10000000

/* Bytes that the step owns; also where there are none, a verb that sends or expects data has a pointer. */
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

/* Sizes of the buffers of a socket in bytes; 0: as they are. */
struct fk_buffers {
  int receive;
  int send;
};

/* What TLS begins with (tls_context.c). */
struct fk_tls_settings {
  bool server;
  bool request_certificate;    /* a server wants a certificate of the client, signed by an authority */
  struct fk_bytes certificate; /* PEM: the own one, then those that signed it; none: no certificate */
  struct fk_bytes key;         /* PEM */
  struct fk_bytes authority;   /* PEM: whom to believe; none: a client believes everybody */
  struct fk_bytes protocols;   /* ALPN: each with its size in a byte before it, as it goes over the wire */
  struct fk_bytes server_name; /* a client sends it and wants it certified, a server insists on it; none: neither */
  struct fk_bytes version;     /* "1.2" or "1.3"; none: both */
  uint64_t tickets;            /* session tickets that a server gives after a handshake */
};

struct fk_tls_context;

/* The fields of all verbs; each verb has some of them (steps.c). */
struct fk_step {
  enum fk_verb verb;
  uint64_t seed;
  uint64_t size;
  uint64_t offset;
  uint64_t first;       /* of the connections that are used, counted from 0 in the order in which they were made */
  uint64_t count;       /* connections */
  uint64_t descriptors; /* to pass on */
  int64_t pause;        /* nanoseconds */
  int type;             /* SOCK_STREAM, ... */
  bool more;
  bool urgent;
  bool credentials;
  struct fk_buffers buffers;
  struct fk_bytes data;
  struct fk_sizes chunks;
  struct fk_address address; /* of the other side; size 0: not given */
  struct fk_address local;   /* what to bind to; size 0: nothing */
  struct fk_tls_settings tls;
  struct fk_tls_context *tls_context; /* made of the settings */
  uint64_t fragment;                  /* most bytes of a handshake in one record, 0: as much as it can have */
  uint64_t flights;                   /* of a handshake, 0: all */
  uint64_t record;                    /* which of those that wait */
  uint8_t code;                       /* type of a record or a message, description of an alert */
  uint8_t level;                      /* of an alert */
  uint8_t mask;
  bool request;
  bool resume;
};

struct fk_script {
  struct fk_step *steps;
  size_t count;
};

const char *fk_verb_name(enum fk_verb verb);

enum fk_scope fk_verb_scope(enum fk_verb verb);

/* The verb of that name; FK_VERB_COUNT if there is none. */
enum fk_verb fk_verb_named(const char *name);

/* Free what a step owns and make it empty. */
void fk_step_clear(struct fk_step *step);

/* Free what a script owns and make it empty. */
void fk_script_clear(struct fk_script *script);

/* The number of connections that a script makes; more than FK_MOST_CONNECTIONS if it is too many to count. */
uint64_t fk_script_connections(const struct fk_script *script);

/* Find the first step that can never work given what the peer starts with (check.c). Returns its index and sets
 * `*reason`, a constant text, or NULL if there is no memory; returns the number of steps if there is none. */
size_t fk_script_check(const struct fk_script *script, bool connected, bool listening, const char **reason);

#endif
