/* Verbs of TLS: beginning, shaking hands, what only a hostile other side sends, and waiting for what it provokes. */
#include "actions.h"
#include "tls.h"

#include <stdlib.h>
#include <string.h>

#define WARNING 1
#define CLOSE_NOTIFY 0

static enum fk_state fail_tls(struct fk_peer *peer) {
  return fk_peer_fail(peer, "TLS: %s", peer->connection->tls->reason);
}

/* Send what waits in the segments that the script wants, `*left` bytes at most; what is more waits on. */
static enum fk_state send_waiting(struct fk_peer *peer, const struct fk_step *step, uint64_t *left) {
  struct fk_tls *tls = peer->connection->tls;
  struct fk_bytes all;
  size_t turn = 0;
  enum fk_state state = FK_DONE;
  if (!fk_tls_records_take(&tls->waiting, &all)) {
    return fk_peer_fail(peer, "no memory for what is to be sent");
  }
  size_t end = all.size < *left ? all.size : (size_t)*left;
  for (size_t at = 0; at < end && state == FK_DONE;) {
    size_t segment = tls->segments == NULL ? end - at : (size_t)fk_next_chunk(tls->segments, &turn, end - at);
    state = fk_send_raw(peer, step, all.data + at, segment);
    at += segment;
    if (state == FK_DONE && tls->segments != NULL) {
      state = fk_pause_between(peer, tls->segments, end - at);
    }
  }
  if (state == FK_DONE && end < all.size && !fk_tls_emit_raw(tls, all.data + end, all.size - end)) {
    state = fail_tls(peer);
  }
  free(all.data);
  *left -= end;
  return state;
}

static enum fk_state flush(struct fk_peer *peer, const struct fk_step *step) {
  struct fk_tls *tls = peer->connection->tls;
  uint64_t unlimited = UINT64_MAX;
  return tls->corked || tls->waiting.count == 0 ? FK_DONE : send_waiting(peer, step, &unlimited);
}

/* What every verb that lets something go out ends with. */
static enum fk_state finish(struct fk_peer *peer, const struct fk_step *step, bool emitted) {
  return emitted ? flush(peer, step) : fail_tls(peer);
}

/* Receive what comes and hand it to TLS; `*outcome` is FK_GOT unless the connection ends. */
static enum fk_state feed(struct fk_peer *peer, enum fk_outcome *outcome) {
  size_t got;
  enum fk_state state = fk_receive_raw(peer, FK_BUFFER, &got, outcome);
  if (state == FK_DONE && *outcome == FK_END) {
    *outcome = FK_TRUNCATED;
  }
  if (state == FK_DONE && *outcome == FK_GOT && !fk_tls_feed(peer->connection->tls, peer->buffer, got)) {
    state = fail_tls(peer);
  }
  return state;
}

/* Read once what TLS has for us, and send what it answers. */
static enum fk_state read_on(struct fk_peer *peer, const struct fk_step *step, size_t size, size_t *got,
                             enum fk_tls_outcome *outcome) {
  *outcome = fk_tls_read(peer->connection->tls, peer->buffer, size, got);
  return flush(peer, step);
}

enum fk_state fk_tls_receive_some(struct fk_peer *peer, const struct fk_step *step, size_t size, size_t *got,
                                  enum fk_outcome *outcome) {
  for (;;) {
    enum fk_tls_outcome read;
    enum fk_state state = read_on(peer, step, size, got, &read);
    if (read == FK_TLS_FAILED) {
      return fail_tls(peer);
    }
    *outcome = read == FK_TLS_CLOSED ? FK_END : FK_GOT;
    if (state == FK_DONE && read == FK_TLS_HUNGRY) {
      state = feed(peer, outcome);
    }
    if (state != FK_DONE || read != FK_TLS_HUNGRY || *outcome != FK_GOT) {
      return state;
    }
  }
}

static bool emit_data(struct fk_tls *tls, const uint8_t *data, size_t size) {
  size_t at = 0;
  bool emitted;
  do {
    size_t part = size - at < FK_TLS_PLAINTEXT ? size - at : FK_TLS_PLAINTEXT;
    emitted = fk_tls_emit(tls, FK_TLS_APPLICATION_DATA, data + at, part);
    at += part;
  } while (emitted && at < size);
  return emitted;
}

enum fk_state fk_tls_send_all(struct fk_peer *peer, const struct fk_step *step, const uint8_t *data, size_t size) {
  enum fk_state state;
  do {
    size_t part = size < FK_BUFFER ? size : FK_BUFFER;
    state = finish(peer, step, emit_data(peer->connection->tls, data, part));
    if (state == FK_DONE) {
      fk_peer_count(peer, part);
    }
    data += part;
    size -= part;
  } while (state == FK_DONE && size > 0);
  return state;
}

static enum fk_state begin(struct fk_peer *peer, const struct fk_step *step) {
  struct fk_endpoint *connection = peer->connection;
  if (connection->kind != FK_STREAM) {
    return fk_peer_fail(peer, "TLS needs a stream socket");
  }
  connection->tls = fk_tls_begin(step->tls_context, (size_t)step->fragment);
  if (connection->tls == NULL) {
    return fk_peer_fail(peer, "OpenSSL makes no session");
  }
  connection->tls->kept = &peer->tls_session;
  if (!step->resume) {
    return FK_DONE;
  }
  if (peer->tls_session == NULL) {
    return fk_peer_fail(peer, "there is no session to resume");
  }
  return fk_tls_resume(connection->tls, peer->tls_session) ? FK_DONE : fail_tls(peer);
}

enum fk_state fk_do_tls_server(struct fk_peer *peer, const struct fk_step *step) { return begin(peer, step); }

enum fk_state fk_do_tls_client(struct fk_peer *peer, const struct fk_step *step) { return begin(peer, step); }

enum fk_state fk_do_tls_handshake(struct fk_peer *peer, const struct fk_step *step) {
  struct fk_tls *tls = peer->connection->tls;
  uint64_t left = step->size > 0 ? step->size : UINT64_MAX;
  uint64_t flights = 0;
  enum fk_state state = tls->corked ? FK_DONE : send_waiting(peer, step, &left); /* of a handshake that was stopped */
  while (state == FK_DONE && left > 0) {
    size_t before = tls->waiting.count;
    enum fk_outcome outcome = FK_GOT;
    enum fk_tls_outcome shaken = fk_tls_handshake(tls);
    flights += tls->waiting.count > before;
    state = tls->corked ? FK_DONE : send_waiting(peer, step, &left);
    if (shaken == FK_TLS_FAILED) {
      return fail_tls(peer);
    }
    if (shaken == FK_TLS_DONE || (step->flights > 0 && flights == step->flights)) {
      return state;
    }
    if (state == FK_DONE && left > 0) {
      state = feed(peer, &outcome);
    }
    if (state == FK_DONE && outcome != FK_GOT) {
      return fk_peer_fail(peer, "%s in the middle of the handshake", fk_outcome_name(outcome));
    }
  }
  return state;
}

enum fk_state fk_do_tls_early_data(struct fk_peer *peer, const struct fk_step *step) {
  return finish(peer, step, fk_tls_early_data(peer->connection->tls, step->data.data, step->data.size));
}

enum fk_state fk_do_tls_segments(struct fk_peer *peer, const struct fk_step *step) {
  peer->connection->tls->segments = step->chunks.count > 0 ? step : NULL;
  return FK_DONE;
}

enum fk_state fk_do_tls_cork(struct fk_peer *peer, const struct fk_step *step) {
  (void)step;
  peer->connection->tls->corked = true;
  return FK_DONE;
}

enum fk_state fk_do_tls_uncork(struct fk_peer *peer, const struct fk_step *step) {
  peer->connection->tls->corked = false;
  return flush(peer, step);
}

/* The record that waits and that the step names; NULL, and the step fails, if there is none. */
static struct fk_bytes *record_of(struct fk_peer *peer, const struct fk_step *step) {
  struct fk_tls_records *waiting = &peer->connection->tls->waiting;
  if (step->record < waiting->count) {
    return &waiting->items[step->record];
  }
  (void)fk_peer_fail(peer, "there is no record %llu: %zu are corked", (unsigned long long)step->record, waiting->count);
  return NULL;
}

enum fk_state fk_do_tls_arrange(struct fk_peer *peer, const struct fk_step *step) {
  struct fk_tls_records *waiting = &peer->connection->tls->waiting;
  return fk_tls_records_arrange(waiting, step->chunks.values, step->chunks.count)
             ? FK_DONE
             : fk_peer_fail(peer, "there are %zu records, from 0 on", waiting->count);
}

enum fk_state fk_do_tls_corrupt(struct fk_peer *peer, const struct fk_step *step) {
  struct fk_bytes *record = record_of(peer, step);
  if (record == NULL) {
    return FK_FAILED;
  }
  if (step->offset >= record->size) {
    return fk_peer_fail(peer, "the record has %zu bytes", record->size);
  }
  record->data[step->offset] ^= step->mask;
  return FK_DONE;
}

enum fk_state fk_do_tls_cut(struct fk_peer *peer, const struct fk_step *step) {
  struct fk_bytes *record = record_of(peer, step);
  if (record == NULL) {
    return FK_FAILED;
  }
  if (step->size > record->size) {
    return fk_peer_fail(peer, "the record has %zu bytes", record->size);
  }
  fk_tls_records_cut(&peer->connection->tls->waiting, (size_t)step->record, (size_t)step->size);
  return FK_DONE;
}

enum fk_state fk_do_tls_raw(struct fk_peer *peer, const struct fk_step *step) {
  return finish(peer, step, fk_tls_emit_raw(peer->connection->tls, step->data.data, step->data.size));
}

enum fk_state fk_do_tls_record(struct fk_peer *peer, const struct fk_step *step) {
  return finish(peer, step, fk_tls_emit(peer->connection->tls, step->code, step->data.data, step->data.size));
}

static enum fk_state send_alert(struct fk_peer *peer, const struct fk_step *step, uint8_t level, uint8_t description) {
  const uint8_t alert[] = {level, description};
  return finish(peer, step, fk_tls_emit(peer->connection->tls, FK_TLS_ALERT, alert, sizeof alert));
}

enum fk_state fk_do_tls_alert(struct fk_peer *peer, const struct fk_step *step) {
  return send_alert(peer, step, step->level, step->code);
}

enum fk_state fk_do_tls_close_notify(struct fk_peer *peer, const struct fk_step *step) {
  return send_alert(peer, step, WARNING, CLOSE_NOTIFY);
}

enum fk_state fk_do_tls_renegotiate(struct fk_peer *peer, const struct fk_step *step) {
  return finish(peer, step, fk_tls_renegotiate(peer->connection->tls));
}

enum fk_state fk_do_tls_key_update(struct fk_peer *peer, const struct fk_step *step) {
  return finish(peer, step, fk_tls_key_update(peer->connection->tls, step->request));
}

enum fk_state fk_do_tls_tickets(struct fk_peer *peer, const struct fk_step *step) {
  return finish(peer, step, fk_tls_give_tickets(peer->connection->tls, step->count));
}

/* Read on, and throw away what comes, until that has come. `what` is for the message of a failure. */
static enum fk_state await(struct fk_peer *peer, const struct fk_step *step,
                           bool (*has_come)(const struct fk_tls *tls, const struct fk_step *step), const char *what) {
  const struct fk_tls *tls = peer->connection->tls;
  while (!has_come(tls, step)) {
    enum fk_tls_outcome read;
    enum fk_outcome outcome = FK_GOT;
    size_t got;
    enum fk_state state = read_on(peer, step, FK_BUFFER, &got, &read);
    if (has_come(tls, step)) {
      break;
    }
    if (read == FK_TLS_FAILED) {
      return fk_peer_fail(peer, "expected %s, seen that TLS failed: %s", what, tls->reason);
    }
    if (state == FK_DONE && read == FK_TLS_HUNGRY) {
      state = feed(peer, &outcome);
    }
    if (state != FK_DONE) {
      return state;
    }
    if (read == FK_TLS_CLOSED || outcome != FK_GOT) {
      return fk_peer_fail(peer, "expected %s, seen %s", what,
                          fk_outcome_name(read == FK_TLS_CLOSED ? FK_END : outcome));
    }
  }
  return FK_DONE;
}

static bool alert_has_come(const struct fk_tls *tls, const struct fk_step *step) {
  (void)step;
  return tls->alerted;
}

static bool message_has_come(const struct fk_tls *tls, const struct fk_step *step) {
  return tls->messages[step->code] > 0;
}

enum fk_state fk_do_tls_expect_alert(struct fk_peer *peer, const struct fk_step *step) {
  struct fk_tls *tls = peer->connection->tls;
  enum fk_state state = await(peer, step, alert_has_come, "an alert");
  if (state != FK_DONE) {
    return state;
  }
  tls->alerted = false;
  if (tls->alert != step->code) {
    return fk_peer_fail(peer, "expected the alert %d (%s), seen %d (%s) of level %d", step->code,
                        SSL_alert_desc_string_long(step->code), tls->alert, SSL_alert_desc_string_long(tls->alert),
                        tls->alert_level);
  }
  return FK_DONE;
}

enum fk_state fk_do_tls_expect_message(struct fk_peer *peer, const struct fk_step *step) {
  enum fk_state state = await(peer, step, message_has_come, "a handshake message");
  peer->connection->tls->messages[step->code] -= state == FK_DONE;
  return state;
}

enum fk_state fk_do_tls_expect_close_notify(struct fk_peer *peer, const struct fk_step *step) {
  return fk_receive_to_end(peer, step, FK_END);
}

enum fk_state fk_do_tls_expect_truncation(struct fk_peer *peer, const struct fk_step *step) {
  return fk_receive_to_end(peer, step, FK_TRUNCATED);
}

enum fk_state fk_do_tls_forget(struct fk_peer *peer, const struct fk_step *step) {
  struct fk_tls *tls = peer->connection->tls;
  size_t unread = BIO_ctrl_pending(tls->incoming);
  (void)step;
  if (unread > 0) {
    return fk_peer_fail(peer, "%zu bytes came that TLS has not read", unread);
  }
  fk_tls_end(tls);
  peer->connection->tls = NULL;
  return FK_DONE;
}
