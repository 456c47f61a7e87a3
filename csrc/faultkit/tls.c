/* A TLS session between two pieces of memory. */
#include "tls.h"

#include <limits.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_UPDATE 24

static bool fail(struct fk_tls *tls, const char *reason) {
  (void)snprintf(tls->reason, sizeof tls->reason, "%s", reason);
  return false;
}

static bool is_13(const struct fk_tls *tls) { return SSL_version(tls->ssl) == TLS1_3_VERSION; }

static int nibble(char digit) {
  const char *const digits = "0123456789abcdef";
  const char *found = digit == '\0' ? NULL : strchr(digits, digit);
  return found == NULL ? -1 : (int)(found - digits);
}

/* The secrets of this side's records (TLS 1.3), from lines of the key log: "LABEL <client random> <secret>". */
static void note_secret(const SSL *ssl, const char *line) {
  static const char *const labels[2][FK_TLS_SECRETS] = {
      {"CLIENT_EARLY_TRAFFIC_SECRET ", "CLIENT_HANDSHAKE_TRAFFIC_SECRET ", "CLIENT_TRAFFIC_SECRET_0 "},
      {"SERVER_HANDSHAKE_TRAFFIC_SECRET ", "SERVER_TRAFFIC_SECRET_0 ", NULL},
  };
  struct fk_tls *tls = SSL_get_app_data(ssl);
  for (size_t i = 0; i < FK_TLS_SECRETS; i++) {
    const char *label = labels[tls->server][i];
    if (label == NULL || strncmp(line, label, strlen(label)) != 0) {
      continue;
    }
    const char *digits = strrchr(line, ' ') + 1;
    if (tls->known == FK_TLS_SECRETS || strlen(digits) != 2 * FK_TLS_SECRET) {
      tls->lost = true;
      return;
    }
    uint8_t *secret = tls->secrets[tls->known++];
    for (size_t at = 0; at < FK_TLS_SECRET; at++) {
      int high = nibble(digits[2 * at]);
      int low = nibble(digits[2 * at + 1]);
      tls->lost = tls->lost || high < 0 || low < 0;
      secret[at] = (uint8_t)(16 * high + low);
    }
  }
}

static void note_alert(const SSL *ssl, int where, int value) {
  struct fk_tls *tls = SSL_get_app_data(ssl);
  if (where == SSL_CB_READ_ALERT) {
    tls->alerted = true;
    tls->alert_level = (uint8_t)(value >> 8);
    tls->alert = (uint8_t)value;
  }
}

static void note_message(int writing, int version, int type, const void *data, size_t size, SSL *ssl, void *argument) {
  (void)version, (void)ssl;
  struct fk_tls *tls = argument;
  if (!writing && type == FK_TLS_HANDSHAKE && size > 0) {
    tls->messages[*(const uint8_t *)data]++;
  }
}

/* Take over the session that a client could resume; what was kept before is freed. */
static int keep_session(SSL *ssl, SSL_SESSION *session) {
  struct fk_tls *tls = SSL_get_app_data(ssl);
  if (tls->kept == NULL) {
    return 0; /* not taken over */
  }
  SSL_SESSION_free(*tls->kept);
  *tls->kept = session;
  return 1;
}

struct fk_tls *fk_tls_begin(const struct fk_tls_context *context, size_t fragment) {
  struct fk_tls *tls = calloc(1, sizeof *tls);
  if (tls == NULL) {
    return NULL;
  }
  tls->server = fk_tls_context_serves(context);
  tls->fragment = fragment > 0 && fragment < FK_TLS_PLAINTEXT ? fragment : FK_TLS_PLAINTEXT;
  tls->ssl = fk_tls_context_begin(context);
  tls->incoming = BIO_new(BIO_s_mem());
  tls->outgoing = BIO_new(BIO_s_mem());
  if (tls->ssl == NULL || tls->incoming == NULL || tls->outgoing == NULL) {
    BIO_free(tls->incoming);
    BIO_free(tls->outgoing);
    fk_tls_end(tls);
    return NULL;
  }
  SSL_set_bio(tls->ssl, tls->incoming, tls->outgoing);
  SSL_set_app_data(tls->ssl, tls);
  SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(tls->ssl), note_secret);
  SSL_CTX_sess_set_new_cb(SSL_get_SSL_CTX(tls->ssl), keep_session);
  SSL_set_info_callback(tls->ssl, note_alert);
  SSL_set_msg_callback(tls->ssl, note_message);
  SSL_set_msg_callback_arg(tls->ssl, tls);
  return tls;
}

bool fk_tls_resume(struct fk_tls *tls, SSL_SESSION *session) {
  return SSL_set_session(tls->ssl, session) > 0 || fail(tls, "that session cannot be resumed");
}

void fk_tls_end(struct fk_tls *tls) {
  if (tls != NULL) {
    if (tls->ssl != NULL) { /* else what ends without close_notify could not be resumed */
      SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(tls->ssl);
    fk_tls_records_clear(&tls->waiting);
    free(tls);
  }
}

bool fk_tls_feed(struct fk_tls *tls, const uint8_t *data, size_t size) {
  size_t written = 0;
  return (size == 0 || (BIO_write_ex(tls->incoming, data, size, &written) > 0 && written == size)) ||
         fail(tls, "no memory for what came");
}

bool fk_tls_emit_raw(struct fk_tls *tls, const uint8_t *data, size_t size) {
  return fk_tls_records_add(&tls->waiting, data, size) || fail(tls, "too much waits to go out");
}

static bool emit(struct fk_tls *tls, struct fk_tls_protection *protection, uint8_t type, const uint8_t *data,
                 size_t size) {
  if (size > FK_TLS_MOST - FK_TLS_EXPANSION) {
    return fail(tls, "a record cannot have that many bytes");
  }
  uint8_t *record = malloc(FK_TLS_HEADER + size + FK_TLS_EXPANSION);
  size_t whole = record == NULL ? 0 : fk_tls_seal(protection, type, data, size, record);
  bool emitted = whole > 0 ? fk_tls_emit_raw(tls, record, whole) : fail(tls, "a record could not be protected");
  free(record);
  return emitted;
}

bool fk_tls_emit(struct fk_tls *tls, uint8_t type, const uint8_t *data, size_t size) {
  return emit(tls, &tls->wire, type, data, size);
}

/* Let the next of the secrets that are known protect what goes out. */
static bool advance(struct fk_tls *tls) {
  if (tls->lost || tls->used == tls->known || !fk_tls_protect_13(&tls->made, tls->secrets[tls->used])) {
    return fail(tls, "a record of OpenSSL's cannot be opened");
  }
  tls->wire = tls->made;
  tls->used++;
  return true;
}

/* After ChangeCipherSpec of TLS 1.2: the keys of the handshake that is about to end. */
static bool change_cipher(struct fk_tls *tls) {
  uint8_t master[FK_TLS_MASTER];
  uint8_t client_random[FK_TLS_RANDOM];
  uint8_t server_random[FK_TLS_RANDOM];
  const SSL_SESSION *session = SSL_get_session(tls->ssl);
  if (session == NULL || SSL_SESSION_get_master_key(session, master, sizeof master) != sizeof master ||
      SSL_get_client_random(tls->ssl, client_random, sizeof client_random) != sizeof client_random ||
      SSL_get_server_random(tls->ssl, server_random, sizeof server_random) != sizeof server_random ||
      !fk_tls_protect_12(&tls->made, master, client_random, server_random, tls->server)) {
    return fail(tls, "the keys of the session cannot be had");
  }
  tls->wire = tls->made;
  return true;
}

/* Open a record that OpenSSL made. In TLS 1.3 nothing announces new keys: they are due when the old ones do not fit. */
static bool open_made(struct fk_tls *tls, uint8_t *record, size_t size, uint8_t *type, const uint8_t **data,
                      size_t *data_size) {
  while (!tls->made.active || !fk_tls_open(&tls->made, record, size, type, data, data_size)) {
    if (!advance(tls)) {
      return false;
    }
  }
  return true;
}

/* Emit in records of at most `most` bytes. */
static bool emit_parts(struct fk_tls *tls, struct fk_tls_protection *protection, uint8_t type, const uint8_t *data,
                       size_t size, size_t most) {
  bool emitted = true;
  for (size_t at = 0; emitted && at < size; at += most) {
    emitted = emit(tls, protection, type, data + at, size - at < most ? size - at : most);
  }
  return emitted;
}

/* A record that OpenSSL made without protection goes out as it is, unless it is larger than the script wants it. */
static bool translate_plain(struct fk_tls *tls, const uint8_t *record, size_t size) {
  struct fk_tls_protection none = {0};
  if (record[0] != FK_TLS_HANDSHAKE || size - FK_TLS_HEADER <= tls->fragment) {
    return fk_tls_emit_raw(tls, record, size);
  }
  return emit_parts(tls, &none, record[0], record + FK_TLS_HEADER, size - FK_TLS_HEADER, tls->fragment);
}

static bool translate_protected(struct fk_tls *tls, uint8_t *record, size_t record_size) {
  uint8_t type;
  const uint8_t *data;
  size_t size;
  if (!open_made(tls, record, record_size, &type, &data, &size) ||
      !emit_parts(tls, &tls->wire, type, data, size, type == FK_TLS_HANDSHAKE ? tls->fragment : FK_TLS_PLAINTEXT)) {
    return false;
  }
  if (is_13(tls) && type == FK_TLS_HANDSHAKE && size > 0 && data[0] == KEY_UPDATE) {
    return (fk_tls_protect_next(&tls->made) && fk_tls_protect_next(&tls->wire)) || fail(tls, "there are no new keys");
  }
  return true;
}

/* Let go out what is in a record that OpenSSL made. Its first byte tells in TLS 1.3 whether it is protected. */
static bool translate(struct fk_tls *tls, uint8_t *record, size_t size) {
  bool changes_cipher = record[0] == FK_TLS_CHANGE_CIPHER_SPEC && !is_13(tls);
  bool is_protected = is_13(tls) ? record[0] == FK_TLS_APPLICATION_DATA : tls->made.active;
  return (is_protected ? translate_protected(tls, record, size) : translate_plain(tls, record, size)) &&
         (!changes_cipher || change_cipher(tls));
}

/* Take over all that OpenSSL has made. */
static bool collect(struct fk_tls *tls) {
  uint8_t *made;
  long size = BIO_get_mem_data(tls->outgoing, &made);
  for (size_t at = 0, end = size > 0 ? (size_t)size : 0; at < end;) {
    size_t record = end - at < FK_TLS_HEADER ? 0 : FK_TLS_HEADER + ((size_t)made[at + 3] << 8) + made[at + 4];
    if (record == 0 || record > end - at) {
      return fail(tls, "OpenSSL has made half a record");
    }
    if (!translate(tls, made + at, record)) {
      return false;
    }
    at += record;
  }
  (void)BIO_reset(tls->outgoing);
  while (is_13(tls) && tls->used < tls->known) { /* all that belongs to the keys so far has been made */
    if (!advance(tls)) {
      return false;
    }
  }
  return true;
}

/* What an operation of OpenSSL came to. What it made is taken over also if it failed: there may be an alert in it. */
static enum fk_tls_outcome conclude(struct fk_tls *tls, int result) {
  int error = SSL_get_error(tls->ssl, result);
  if (result <= 0 && error == SSL_ERROR_SSL) {
    bool refused = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_NO_RENEGOTIATION;
    char reason[FK_TLS_REASON];
    fk_tls_explain(reason, sizeof reason);
    if (refused) { /* OpenSSL would end it with an alert: so the script can still send */
      (void)BIO_reset(tls->outgoing);
    } else {
      (void)collect(tls);
    }
    (void)fail(tls, reason);
    return FK_TLS_FAILED;
  }
  if (!collect(tls)) {
    return FK_TLS_FAILED;
  }
  switch (result > 0 ? SSL_ERROR_NONE : error) {
  case SSL_ERROR_NONE:
    return FK_TLS_DONE;
  case SSL_ERROR_WANT_READ:
    return FK_TLS_HUNGRY;
  case SSL_ERROR_ZERO_RETURN:
    return FK_TLS_CLOSED;
  default:
    (void)fail(tls, "OpenSSL is in a state that it should not get into");
    return FK_TLS_FAILED;
  }
}

enum fk_tls_outcome fk_tls_handshake(struct fk_tls *tls) {
  ERR_clear_error();
  return conclude(tls, SSL_do_handshake(tls->ssl));
}

bool fk_tls_early_data(struct fk_tls *tls, const uint8_t *data, size_t size) {
  SSL_SESSION *session = SSL_get_session(tls->ssl);
  size_t written;
  if (session == NULL || SSL_SESSION_get_protocol_version(session) != TLS1_3_VERSION || !SSL_in_before(tls->ssl)) {
    return fail(tls, "early data begin a handshake that resumes a session of TLS 1.3");
  }
  ERR_clear_error();
  return SSL_SESSION_set_max_early_data(session, UINT32_MAX) > 0 &&
         conclude(tls, SSL_write_early_data(tls->ssl, data, size, &written)) == FK_TLS_DONE;
}

enum fk_tls_outcome fk_tls_read(struct fk_tls *tls, uint8_t *buffer, size_t size, size_t *got) {
  ERR_clear_error();
  *got = 0;
  enum fk_tls_outcome outcome = conclude(tls, SSL_read_ex(tls->ssl, buffer, size, got));
  int update = SSL_get_key_update_type(tls->ssl);
  if (update != SSL_KEY_UPDATE_NONE && outcome != FK_TLS_FAILED) { /* asked for; OpenSSL waits for something to write */
    if (SSL_key_update(tls->ssl, update) <= 0 || fk_tls_handshake(tls) == FK_TLS_FAILED) {
      return FK_TLS_FAILED;
    }
  }
  return outcome;
}

bool fk_tls_key_update(struct fk_tls *tls, bool request) {
  const uint8_t message[] = {KEY_UPDATE, 0, 0, 1, request};
  if (!is_13(tls) || !tls->wire.active) {
    return fail(tls, "there are key updates only after a handshake of TLS 1.3");
  }
  return fk_tls_emit(tls, FK_TLS_HANDSHAKE, message, sizeof message) &&
         (fk_tls_protect_next(&tls->wire) || fail(tls, "there are no new keys"));
}

bool fk_tls_renegotiate(struct fk_tls *tls) {
  if (is_13(tls) || !SSL_is_init_finished(tls->ssl)) {
    return fail(tls, "there is a new handshake only after a handshake of TLS 1.2");
  }
  SSL_clear_options(tls->ssl, SSL_OP_NO_RENEGOTIATION);
  ERR_clear_error();
  if (SSL_renegotiate(tls->ssl) <= 0) {
    fk_tls_explain(tls->reason, sizeof tls->reason);
    return false;
  }
  return fk_tls_handshake(tls) != FK_TLS_FAILED;
}

bool fk_tls_give_tickets(struct fk_tls *tls, uint64_t count) {
  if (!tls->server || !is_13(tls) || !SSL_is_init_finished(tls->ssl)) {
    return fail(tls, "only a server gives tickets, after a handshake of TLS 1.3");
  }
  for (uint64_t i = 0; i < count; i++) {
    ERR_clear_error();
    if (SSL_new_session_ticket(tls->ssl) <= 0) {
      fk_tls_explain(tls->reason, sizeof tls->reason);
      return false;
    }
    if (fk_tls_handshake(tls) != FK_TLS_DONE) {
      return false;
    }
  }
  return true;
}
