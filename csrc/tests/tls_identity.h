/* Certificates for C unit tests of TLS, made when they run. */

#ifndef LOOPPROOF_TESTS_TLS_IDENTITY_H
#define LOOPPROOF_TESTS_TLS_IDENTITY_H

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "cases.h"
#include "tls_context.h"

struct identity {
  struct fk_bytes certificate;
  struct fk_bytes key;
};

static inline struct fk_bytes contents(BIO *writer) {
  char *data;
  long size = BIO_get_mem_data(writer, &data);
  struct fk_bytes copy = {malloc((size_t)size), (size_t)size};
  CHECK(size > 0 && copy.data != NULL);
  memcpy(copy.data, data, (size_t)size);
  CHECK(BIO_free(writer) == 1);
  return copy;
}

/* A certificate for "localhost" that signs itself, and its key. */
static inline struct identity make_identity(void) {
  struct identity made;
  BIO *certificate_writer = BIO_new(BIO_s_mem());
  BIO *key_writer = BIO_new(BIO_s_mem());
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *certificate = X509_new();
  X509_NAME *name = X509_get_subject_name(certificate);

  CHECK(key != NULL && certificate != NULL);
  CHECK(X509_set_version(certificate, 2) && ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1));
  CHECK(X509_gmtime_adj(X509_getm_notBefore(certificate), -3600));
  CHECK(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
  CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0));
  CHECK(X509_set_issuer_name(certificate, name) && X509_set_pubkey(certificate, key));
  CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
  CHECK(PEM_write_bio_X509(certificate_writer, certificate));
  CHECK(PEM_write_bio_PrivateKey(key_writer, key, NULL, NULL, 0, NULL, NULL));
  made.certificate = contents(certificate_writer);
  made.key = contents(key_writer);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return made;
}

static inline void free_identity(struct identity *identity) {
  free(identity->certificate.data);
  free(identity->key.data);
}

static inline struct fk_bytes text(const char *characters) {
  return (struct fk_bytes){(uint8_t *)(uintptr_t)characters, strlen(characters)};
}

static inline struct fk_tls_context *make_context(const struct fk_tls_settings *settings) {
  char reason[FK_TLS_REASON];
  struct fk_tls_context *context = fk_tls_context_new(settings, reason);
  CHECK(context != NULL);
  return context;
}

#endif
