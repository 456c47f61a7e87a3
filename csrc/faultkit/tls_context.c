/* What TLS begins with: settings become an SSL_CTX, or a reason why they cannot. */
#include "tls_context.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fk_tls_context {
  SSL_CTX *ssl;
  bool server;
  bool verifies_server;
  struct fk_bytes protocols;
  char *server_name; /* NULL: none */
};

/* Of what is noted, the first that is about TLS tells most: what comes before and after it is details and consequences.
 */
void fk_tls_explain(char *reason, size_t size) {
  unsigned long told = 0;
  for (unsigned long code; (told == 0 || ERR_GET_LIB(told) != ERR_LIB_SSL) && (code = ERR_get_error()) != 0;) {
    told = code;
  }
  ERR_clear_error();
  const char *text = ERR_reason_error_string(told);
  if (told == 0) {
    (void)snprintf(reason, size, "OpenSSL gives no reason");
  } else if (text == NULL) {
    (void)snprintf(reason, size, "error %lu of OpenSSL", told);
  } else {
    (void)snprintf(reason, size, "%s", text);
  }
}

/* Refuse to ask for the password of a key. */
static int no_password(char *buffer, int size, int writing, void *unused) {
  (void)buffer, (void)size, (void)writing, (void)unused;
  return -1;
}

static BIO *reader_of(const struct fk_bytes *bytes) {
  return bytes->size > INT_MAX ? NULL : BIO_new_mem_buf(bytes->data, (int)bytes->size);
}

static X509 *next_certificate(BIO *reader) { return PEM_read_bio_X509(reader, NULL, no_password, NULL); }

/* Whether reading came to the regular end: no more PEM. Otherwise the error of what is wrong there stays. */
static bool at_the_end(void) {
  bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (ended) {
    ERR_clear_error();
  }
  return ended;
}

/* The own certificate, then whatever follows it. */
static bool use_certificates(SSL_CTX *ssl, const struct fk_bytes *pem) {
  BIO *reader = reader_of(pem);
  X509 *own = reader == NULL ? NULL : next_certificate(reader);
  bool used = own != NULL && SSL_CTX_use_certificate(ssl, own) > 0;
  X509_free(own);
  for (X509 *other; used && (other = next_certificate(reader)) != NULL;) {
    used = SSL_CTX_add0_chain_cert(ssl, other) > 0;
    if (!used) {
      X509_free(other);
    }
  }
  used = used && at_the_end();
  BIO_free(reader);
  return used;
}

static bool use_key(SSL_CTX *ssl, const struct fk_bytes *pem) {
  BIO *reader = reader_of(pem);
  EVP_PKEY *key = reader == NULL ? NULL : PEM_read_bio_PrivateKey(reader, NULL, no_password, NULL);
  bool used = key != NULL && SSL_CTX_use_PrivateKey(ssl, key) > 0;
  EVP_PKEY_free(key);
  BIO_free(reader);
  return used;
}

static bool use_authorities(SSL_CTX *ssl, const struct fk_bytes *pem) {
  BIO *reader = reader_of(pem);
  X509_STORE *store = SSL_CTX_get_cert_store(ssl);
  bool used = reader != NULL;
  size_t count = 0;
  for (X509 *one; used && (one = next_certificate(reader)) != NULL; count++) {
    used = X509_STORE_add_cert(store, one) > 0 && SSL_CTX_add_client_CA(ssl, one) > 0;
    X509_free(one);
  }
  used = used && count > 0 && at_the_end();
  BIO_free(reader);
  return used;
}

/* The first protocol of ours that the client has, too; else the handshake fails. */
static int select_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
                           const unsigned char *offered, unsigned int offered_size, void *argument) {
  const struct fk_tls_context *context = argument;
  unsigned char *found;
  (void)ssl;
  int outcome = SSL_select_next_proto(&found, chosen_size, context->protocols.data,
                                      (unsigned int)context->protocols.size, offered, offered_size);
  *chosen = found;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A server that has a name talks only to clients that want it. */
static int check_server_name(SSL *ssl, int *alert, void *argument) {
  const struct fk_tls_context *context = argument;
  const char *wanted = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (wanted != NULL && strcmp(wanted, context->server_name) == 0) {
    return SSL_TLSEXT_ERR_OK;
  }
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Only ciphers that tls_protection.c knows; no wishes of the system's configuration. */
static bool set_ciphers(SSL_CTX *ssl, int lowest, int highest) {
  SSL_CTX_set_security_level(ssl, 1);
  return SSL_CTX_set_min_proto_version(ssl, lowest) > 0 && SSL_CTX_set_max_proto_version(ssl, highest) > 0 &&
         SSL_CTX_set_cipher_list(ssl, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256") > 0 &&
         SSL_CTX_set_ciphersuites(ssl, "TLS_AES_128_GCM_SHA256") > 0;
}

static bool set_versions(SSL_CTX *ssl, const struct fk_bytes *version) {
  if (version->size == 0) {
    return set_ciphers(ssl, TLS1_2_VERSION, TLS1_3_VERSION);
  }
  bool known =
      version->size == 3 && memcmp(version->data, "1.", 2) == 0 && (version->data[2] == '2' || version->data[2] == '3');
  int number = known && version->data[2] == '2' ? TLS1_2_VERSION : TLS1_3_VERSION;
  return known && set_ciphers(ssl, number, number);
}

static bool is_well_formed(const struct fk_bytes *protocols) {
  size_t at = 0;
  while (at < protocols->size && protocols->data[at] > 0) {
    at += 1u + protocols->data[at];
  }
  return at == protocols->size && protocols->size <= UINT16_MAX - 2;
}

static void set_verification(struct fk_tls_context *context, const struct fk_tls_settings *settings) {
  context->verifies_server = !settings->server && settings->authority.size > 0;
  int mode = SSL_VERIFY_NONE;
  if (settings->request_certificate) {
    mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  } else if (context->verifies_server) {
    mode = SSL_VERIFY_PEER;
  }
  SSL_CTX_set_verify(context->ssl, mode, NULL);
}

static bool set_tickets(SSL_CTX *ssl, uint64_t tickets) {
  if (tickets == 0) {
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
  }
  return SSL_CTX_set_num_tickets(ssl, (size_t)tickets) > 0;
}

/* Set one thing after the other; returns what does not work, NULL if all does. OpenSSL may know why. */
static const char *configure(struct fk_tls_context *context, const struct fk_tls_settings *settings) {
  static const unsigned char session_context[] = "loopproof";
  SSL_CTX *ssl = context->ssl;
  if (!set_versions(ssl, &settings->version)) {
    return "version: must be '1.2' or '1.3'";
  }
  if (settings->server && settings->certificate.size == 0) {
    return "certificate: a server needs one";
  }
  if ((settings->certificate.size > 0) != (settings->key.size > 0)) {
    return "key: there is no certificate without a key, and no key without a certificate";
  }
  if (settings->certificate.size > 0 && !use_certificates(ssl, &settings->certificate)) {
    return "certificate: not a certificate in PEM";
  }
  if (settings->key.size > 0 && (!use_key(ssl, &settings->key) || SSL_CTX_check_private_key(ssl) <= 0)) {
    return "key: not the certificate's private key in PEM";
  }
  if (settings->authority.size > 0 && !use_authorities(ssl, &settings->authority)) {
    return "authority: not certificates in PEM";
  }
  if (settings->request_certificate && settings->authority.size == 0) {
    return "request_certificate: without an authority no certificate can be right";
  }
  if (!is_well_formed(&settings->protocols)) {
    return "alpn: a protocol has from 1 to 255 bytes";
  }
  if (settings->server_name.size > 0 && memchr(settings->server_name.data, 0, settings->server_name.size) != NULL) {
    return "server_name: must not contain a zero byte";
  }
  if (settings->tickets > FK_TLS_MOST_TICKETS || !set_tickets(ssl, settings->tickets)) {
    return "tickets: must be from 0 to 1000";
  }
  set_verification(context, settings);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
  if (!settings->server) { /* sessions are kept by whoever asks for them */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  }
  SSL_CTX_set_session_id_context(ssl, session_context, sizeof session_context - 1);
  if (settings->server && context->protocols.size > 0) {
    SSL_CTX_set_alpn_select_cb(ssl, select_protocol, context);
  }
  if (settings->server && context->server_name != NULL) {
    SSL_CTX_set_tlsext_servername_callback(ssl, check_server_name);
    SSL_CTX_set_tlsext_servername_arg(ssl, context);
  }
  return NULL;
}

/* Copy what is used for as long as the context lives. */
static bool keep(struct fk_tls_context *context, const struct fk_tls_settings *settings) {
  context->server = settings->server;
  if (settings->protocols.size > 0) {
    context->protocols.data = malloc(settings->protocols.size);
    if (context->protocols.data == NULL) {
      return false;
    }
    memcpy(context->protocols.data, settings->protocols.data, settings->protocols.size);
    context->protocols.size = settings->protocols.size;
  }
  if (settings->server_name.size > 0) {
    context->server_name = strndup((const char *)settings->server_name.data, settings->server_name.size);
    return context->server_name != NULL;
  }
  return true;
}

struct fk_tls_context *fk_tls_context_new(const struct fk_tls_settings *settings, char reason[FK_TLS_REASON]) {
  struct fk_tls_context *context = calloc(1, sizeof *context);
  /* No configuration of the system's; and what OpenSSL has stays until the process is gone: a thread may still use it.
   */
  bool ready = OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) > 0;
  ERR_clear_error();
  if (context != NULL && ready) {
    context->ssl = SSL_CTX_new(settings->server ? TLS_server_method() : TLS_client_method());
  }
  if (context == NULL || context->ssl == NULL || !keep(context, settings)) {
    (void)snprintf(reason, FK_TLS_REASON, "OpenSSL makes no context");
    fk_tls_context_free(context);
    return NULL;
  }
  const char *wrong = configure(context, settings);
  if (wrong == NULL) {
    return context;
  }
  if (ERR_peek_error() == 0) {
    (void)snprintf(reason, FK_TLS_REASON, "%s", wrong);
  } else {
    char details[FK_TLS_REASON / 2];
    fk_tls_explain(details, sizeof details);
    (void)snprintf(reason, FK_TLS_REASON, "%s: %s", wrong, details);
  }
  fk_tls_context_free(context);
  return NULL;
}

void fk_tls_context_free(struct fk_tls_context *context) {
  if (context != NULL) {
    SSL_CTX_free(context->ssl);
    free(context->protocols.data);
    free(context->server_name);
    free(context);
  }
}

bool fk_tls_context_serves(const struct fk_tls_context *context) { return context->server; }

SSL *fk_tls_context_begin(const struct fk_tls_context *context) {
  SSL *ssl = SSL_new(context->ssl);
  if (ssl == NULL) {
    return NULL;
  }
  bool ready = true;
  if (context->server) {
    SSL_set_accept_state(ssl);
  } else {
    SSL_set_connect_state(ssl);
    if (context->server_name != NULL) {
      ready = SSL_set_tlsext_host_name(ssl, context->server_name) > 0 &&
              (!context->verifies_server || SSL_set1_host(ssl, context->server_name) > 0);
    }
    if (context->protocols.size > 0) { /* unlike everything else, 0 is success here */
      ready = ready && SSL_set_alpn_protos(ssl, context->protocols.data, (unsigned int)context->protocols.size) == 0;
    }
  }
  if (!ready) {
    SSL_free(ssl);
    return NULL;
  }
  return ssl;
}
