/* What the verbs of a script do, and what they share. All of it runs in the thread of the peer. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_ACTIONS_H
#define LOOPPROOF_FAULTKIT_ACTIONS_H

#include "peer.h"

/* Descriptors that one message can pass on (SCM_MAX_FD of the kernel). */
#define FK_MOST_PASSED 253

/* How a receive ended. */
enum fk_outcome {
  FK_GOT,
  FK_END,       /* the end of the stream; of TLS: close_notify */
  FK_TRUNCATED, /* of TLS: the end of what is below it, without close_notify */
  FK_RESET,
};

/* Each verb has a function, in connections.c, sending.c, receiving.c, waiting.c or tls_actions.c: it acts on
 * peer->connection (if its scope is FK_EACH or FK_CLOSES), and notes why in the record of the step if it returns
 * FK_FAILED. */
#define FK_ACTION(name, scope) enum fk_state fk_do_##name(struct fk_peer *peer, const struct fk_step *step);
FK_VERBS(FK_ACTION)
#undef FK_ACTION

/* Play one step, on every connection that it is for. */
enum fk_state fk_peer_perform(struct fk_peer *peer, const struct fk_step *step);

/* Note how many bytes the current step has moved in addition. */
void fk_peer_count(struct fk_peer *peer, size_t bytes);

/* Note why the current step fails; returns FK_FAILED. */
enum fk_state fk_peer_fail(struct fk_peer *peer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether the peer may go on: FK_DONE, FK_STOPPED or FK_LATE. To be asked before whatever may not have to wait. */
enum fk_state fk_peer_check(struct fk_peer *peer);

/* Wait for poll() events on a descriptor. FK_DONE: there may be some. */
enum fk_state fk_peer_await(struct fk_peer *peer, int descriptor, short events);

/* The same, until `until` at the latest. FK_DONE: `*happened` tells whether there may be some. */
enum fk_state fk_peer_await_until(struct fk_peer *peer, int descriptor, short events, int64_t until, bool *happened);

/* Wait until `until`. */
enum fk_state fk_peer_sleep(struct fk_peer *peer, int64_t until);

/* Send all of it on the connection, over TLS if that has begun, else as one message where the kind keeps boundaries, as
 * the step wants it sent. Counts the bytes. */
enum fk_state fk_send_all(struct fk_peer *peer, const struct fk_step *step, const uint8_t *data, size_t size);

/* The same below TLS, where there is TLS, and what goes over that is what counts. */
enum fk_state fk_send_raw(struct fk_peer *peer, const struct fk_step *step, const uint8_t *data, size_t size);

/* The same above TLS: records of at most FK_TLS_PLAINTEXT bytes. */
enum fk_state fk_tls_send_all(struct fk_peer *peer, const struct fk_step *step, const uint8_t *data, size_t size);

/* Receive 1 to `size` bytes into the buffer, over TLS if that has begun; where the kind keeps boundaries one message,
 * of
 * `*got` bytes of which FK_BUFFER are kept at most. FK_DONE: `*outcome` says how it ended. */
enum fk_state fk_receive_some(struct fk_peer *peer, const struct fk_step *step, size_t size, size_t *got,
                              enum fk_outcome *outcome);

/* The same below TLS. */
enum fk_state fk_receive_raw(struct fk_peer *peer, size_t size, size_t *got, enum fk_outcome *outcome);

/* The same above TLS, which may have something to answer, too. */
enum fk_state fk_tls_receive_some(struct fk_peer *peer, const struct fk_step *step, size_t size, size_t *got,
                                  enum fk_outcome *outcome);

/* Receive and throw away until the stream ends, which has to be in that way. */
enum fk_state fk_receive_to_end(struct fk_peer *peer, const struct fk_step *step, enum fk_outcome end);

/* What the other side did, in words. */
const char *fk_outcome_name(enum fk_outcome outcome);

/* Close what is left of the pipe whose end was passed on. */
void fk_forget_passed(struct fk_peer *peer);

/* The size of the next piece: the step's chunks in turn, then again from the first; without any, all that is left. */
uint64_t fk_next_chunk(const struct fk_step *step, size_t *turn, uint64_t left);

/* Pause between two pieces, if the step wants that and something is left. */
enum fk_state fk_pause_between(struct fk_peer *peer, const struct fk_step *step, uint64_t left);

#endif
