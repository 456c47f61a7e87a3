/* A TLS session between two pieces of memory: OpenSSL shakes hands and reads; what goes out is at the script's mercy.
 *
 * Whatever is to go out waits as records. OpenSSL protects what it makes with keys and numbers of its own; here that is
 * opened and protected anew, so that a script can put in records that OpenSSL would never make (data after
 * close_notify, any alert, an empty record) and the other side still finds all of them intact and in order. No Python
 * in here, and nothing is sent. */
#ifndef LOOPPROOF_FAULTKIT_TLS_H
#define LOOPPROOF_FAULTKIT_TLS_H

#include "tls_context.h"
#include "tls_protection.h"
#include "tls_records.h"

#define FK_TLS_SECRETS 3 /* TLS 1.3: of early data, of the handshake, of application data */

enum fk_tls_outcome {
  FK_TLS_DONE,
  FK_TLS_HUNGRY, /* nothing more to do until bytes have come from the other side */
  FK_TLS_CLOSED, /* the other side has sent close_notify */
  FK_TLS_FAILED, /* the reason is noted */
};

struct fk_tls {
  SSL *ssl;
  BIO *incoming; /* these two are owned by `ssl` */
  BIO *outgoing;
  bool server;
  bool corked;                    /* for whoever sends: what is waiting is to wait longer */
  SSL_SESSION **kept;             /* where a client keeps the last session that it can resume; NULL: nowhere */
  const struct fk_step *segments; /* the same: its chunks are how it is to be sent; NULL: all at once */
  size_t fragment;                /* most bytes of a handshake in one record */
  struct fk_tls_records waiting;  /* what is to go out */
  struct fk_tls_protection made;  /* as OpenSSL protects */
  struct fk_tls_protection wire;  /* as the other side expects it */
  uint8_t secrets[FK_TLS_SECRETS][FK_TLS_SECRET];
  size_t known;           /* how many of them there are */
  size_t used;            /* how many have been in use, in turn */
  bool lost;              /* a secret could not be noted */
  uint32_t messages[256]; /* handshake messages that came, by type, and that nobody has asked for */
  bool alerted;           /* an alert has come that nobody has asked for */
  uint8_t alert_level;
  uint8_t alert;
  char reason[FK_TLS_REASON]; /* after FK_TLS_FAILED or false */
};

/* Begin; the context must outlive the session. `fragment`: see above; 0: as much as a record can have. Returns NULL on
 * failure. */
struct fk_tls *fk_tls_begin(const struct fk_tls_context *context, size_t fragment);

/* Let the handshake that is to come resume a session (client). The session stays the caller's. */
bool fk_tls_resume(struct fk_tls *tls, SSL_SESSION *session);

/* Forget a session, which may be NULL. Nothing goes out. */
void fk_tls_end(struct fk_tls *tls);

/* Give it bytes that came from the other side. */
bool fk_tls_feed(struct fk_tls *tls, const uint8_t *data, size_t size);

/* Go on with the handshake, as far as what came allows. */
enum fk_tls_outcome fk_tls_handshake(struct fk_tls *tls);

/* Read what the other side sent, at least 1 byte if FK_TLS_DONE. Goes on with a handshake where there is one. */
enum fk_tls_outcome fk_tls_read(struct fk_tls *tls, uint8_t *buffer, size_t size, size_t *got);

/* Begin the handshake with data in its first flight, whether or not the session that is resumed allows that (client,
 * TLS 1.3). */
bool fk_tls_early_data(struct fk_tls *tls, const uint8_t *data, size_t size);

/* Let a record go out with this in it, of any size that a record can have, protected as things stand. */
bool fk_tls_emit(struct fk_tls *tls, uint8_t type, const uint8_t *data, size_t size);

/* Let bytes go out as they are. */
bool fk_tls_emit_raw(struct fk_tls *tls, const uint8_t *data, size_t size);

/* Let new keys be used from now on, with or without the wish that the other side does so, too (TLS 1.3). */
bool fk_tls_key_update(struct fk_tls *tls, bool request);

/* Ask for a new handshake (TLS 1.2); what the other side makes of it is found by reading on. */
bool fk_tls_renegotiate(struct fk_tls *tls);

/* Give session tickets in addition, each in a record (server, TLS 1.3). */
bool fk_tls_give_tickets(struct fk_tls *tls, uint64_t count);

#endif
