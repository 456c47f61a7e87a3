/* What TLS begins with: certificate, key, authorities, versions, extensions, as OpenSSL's SSL_CTX. No Python in here.
 */
#ifndef LOOPPROOF_FAULTKIT_TLS_CONTEXT_H
#define LOOPPROOF_FAULTKIT_TLS_CONTEXT_H

#include "script.h"

#include <openssl/ssl.h>

#define FK_TLS_MOST_TICKETS 1000
#define FK_TLS_REASON ((size_t)200)

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

/* Returns NULL and writes the reason if that does not make sense. The settings stay the caller's. */
struct fk_tls_context *fk_tls_context_new(const struct fk_tls_settings *settings, char reason[FK_TLS_REASON]);

void fk_tls_context_free(struct fk_tls_context *context);

bool fk_tls_context_serves(const struct fk_tls_context *context);

/* A new OpenSSL session, without anything to read from or write to; NULL on failure. Any thread. */
SSL *fk_tls_context_begin(const struct fk_tls_context *context);

/* Write what the OpenSSL of this thread complains about, the last of it, and forget all. */
void fk_tls_explain(char *reason, size_t size);

#endif
