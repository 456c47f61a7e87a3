/* What TLS begins with: certificate, key, authorities, versions, extensions, as OpenSSL's SSL_CTX. No Python in here.
 */
#ifndef LOOPPROOF_FAULTKIT_TLS_CONTEXT_H
#define LOOPPROOF_FAULTKIT_TLS_CONTEXT_H

#include "script.h"

#include <openssl/ssl.h>

#define FK_TLS_MOST_TICKETS 1000
#define FK_TLS_REASON ((size_t)200)

/* Returns NULL and writes the reason if that does not make sense. The settings stay the caller's. */
struct fk_tls_context *fk_tls_context_new(const struct fk_tls_settings *settings, char reason[FK_TLS_REASON]);

void fk_tls_context_free(struct fk_tls_context *context);

bool fk_tls_context_serves(const struct fk_tls_context *context);

/* A new OpenSSL session, without anything to read from or write to; NULL on failure. Any thread. */
SSL *fk_tls_context_begin(const struct fk_tls_context *context);

/* Write what the OpenSSL of this thread complains about, and let it forget that. */
void fk_tls_explain(char *reason, size_t size);

#endif
