/* Protection of TLS records: keys from secrets (RFC 8446 7.1-7.3, RFC 5246 6.3), AES-128-GCM (RFC 8446 5.2, RFC 5288).
 */
#include "tls_protection.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#define TAG ((size_t)16)
#define FIXED_IV ((size_t)4)    /* TLS 1.2: the part of the nonce that is secret */
#define EXPLICIT_IV ((size_t)8) /* TLS 1.2: the part that is in the record */
#define VERSION_12 0x0303

static void put(uint8_t *target, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; i++) {
    target[i] = (uint8_t)(value >> 8 * (size - 1 - i));
  }
}

static OSSL_PARAM text_param(const char *key, char *text) { return OSSL_PARAM_construct_utf8_string(key, text, 0); }

/* OpenSSL declares the bytes of parameters as changeable, and does not change those that it is given. */
static OSSL_PARAM bytes_param(const char *key, const void *bytes, size_t size) {
  return OSSL_PARAM_construct_octet_string(key, (void *)(uintptr_t)bytes, size);
}

static bool derive(const char *algorithm, const OSSL_PARAM *params, uint8_t *target, size_t size) {
  EVP_KDF *function = EVP_KDF_fetch(NULL, algorithm, NULL);
  EVP_KDF_CTX *context = function == NULL ? NULL : EVP_KDF_CTX_new(function);
  bool derived = context != NULL && EVP_KDF_derive(context, target, size, params) > 0;
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(function);
  return derived;
}

/* HKDF-Expand-Label with an empty context. */
static bool expand(const uint8_t secret[FK_TLS_SECRET], const char *label, uint8_t *target, size_t size) {
  uint8_t info[32];
  size_t label_size = strlen(label);
  size_t info_size = 2 + 1 + 6 + label_size + 1;
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  if (info_size > sizeof info) {
    return false;
  }
  put(info, size, 2);
  info[2] = (uint8_t)(6 + label_size);
  memcpy(info + 3, "tls13 ", 6);
  memcpy(info + 9, label, label_size);
  info[info_size - 1] = 0;
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      text_param(OSSL_KDF_PARAM_DIGEST, digest),
      bytes_param(OSSL_KDF_PARAM_KEY, secret, FK_TLS_SECRET),
      bytes_param(OSSL_KDF_PARAM_INFO, info, info_size),
      OSSL_PARAM_construct_end(),
  };
  return derive("HKDF", params, target, size);
}

bool fk_tls_protect_13(struct fk_tls_protection *protection, const uint8_t secret[FK_TLS_SECRET]) {
  struct fk_tls_protection made = {.active = true, .tls13 = true};
  memcpy(made.secret, secret, FK_TLS_SECRET);
  if (!expand(secret, "key", made.key, FK_TLS_KEY) || !expand(secret, "iv", made.iv, FK_TLS_IV)) {
    return false;
  }
  *protection = made;
  return true;
}

bool fk_tls_protect_next(struct fk_tls_protection *protection) {
  uint8_t secret[FK_TLS_SECRET];
  return expand(protection->secret, "traffic upd", secret, FK_TLS_SECRET) && fk_tls_protect_13(protection, secret);
}

bool fk_tls_protect_12(struct fk_tls_protection *protection, const uint8_t master[FK_TLS_MASTER],
                       const uint8_t client_random[FK_TLS_RANDOM], const uint8_t server_random[FK_TLS_RANDOM],
                       bool of_server) {
  struct fk_tls_protection made = {.active = true};
  uint8_t block[2 * FK_TLS_KEY + 2 * FIXED_IV]; /* key of the client, of the server, IV of the client, of the server */
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {
      text_param(OSSL_KDF_PARAM_DIGEST, digest),
      bytes_param(OSSL_KDF_PARAM_SECRET, master, FK_TLS_MASTER),
      bytes_param(OSSL_KDF_PARAM_SEED, "key expansion", strlen("key expansion")),
      bytes_param(OSSL_KDF_PARAM_SEED, server_random, FK_TLS_RANDOM),
      bytes_param(OSSL_KDF_PARAM_SEED, client_random, FK_TLS_RANDOM),
      OSSL_PARAM_construct_end(),
  };
  if (!derive("TLS1-PRF", params, block, sizeof block)) {
    return false;
  }
  memcpy(made.key, block + of_server * FK_TLS_KEY, FK_TLS_KEY);
  memcpy(made.iv, block + 2 * FK_TLS_KEY + of_server * FIXED_IV, FIXED_IV);
  *protection = made;
  return true;
}

/* The nonce of the next record; `explicit_iv`: what the record has of it (TLS 1.2). */
static void make_nonce(const struct fk_tls_protection *protection, const uint8_t *explicit_iv,
                       uint8_t nonce[FK_TLS_IV]) {
  memcpy(nonce, protection->iv, FK_TLS_IV);
  if (!protection->tls13) {
    memcpy(nonce + FIXED_IV, explicit_iv, EXPLICIT_IV);
    return;
  }
  uint8_t sequence[8];
  put(sequence, protection->sequence, sizeof sequence);
  for (size_t i = 0; i < sizeof sequence; i++) {
    nonce[FK_TLS_IV - sizeof sequence + i] ^= sequence[i];
  }
}

/* What is authenticated besides the content; returns its size. TLS 1.3: the header. TLS 1.2: the place of the record in
 * the stream, the type, version and size of its content. */
static size_t make_associated(const struct fk_tls_protection *protection, const uint8_t *header, size_t content,
                              uint8_t associated[13]) {
  if (protection->tls13) {
    memcpy(associated, header, FK_TLS_HEADER);
    return FK_TLS_HEADER;
  }
  put(associated, protection->sequence, 8);
  memcpy(associated + 8, header, 3);
  put(associated + 11, content, 2);
  return 13;
}

/* Encrypt or decrypt in place; the tag behind the content is written or checked. */
static bool apply_cipher(const struct fk_tls_protection *protection, bool encrypting, const uint8_t *header,
                         const uint8_t nonce[FK_TLS_IV], uint8_t *content, size_t size) {
  uint8_t associated[13];
  size_t associated_size = make_associated(protection, header, size, associated);
  int done;
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  bool worked = context != NULL &&
                EVP_CipherInit_ex(context, EVP_aes_128_gcm(), NULL, protection->key, nonce, encrypting ? 1 : 0) > 0 &&
                (encrypting || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, (int)TAG, content + size) > 0) &&
                EVP_CipherUpdate(context, NULL, &done, associated, (int)associated_size) > 0 &&
                (size == 0 || EVP_CipherUpdate(context, content, &done, content, (int)size) > 0) &&
                EVP_CipherFinal_ex(context, content + size, &done) > 0 &&
                (!encrypting || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, (int)TAG, content + size) > 0);
  EVP_CIPHER_CTX_free(context);
  return worked;
}

static void put_header(uint8_t *record, uint8_t type, size_t size) {
  record[0] = type;
  put(record + 1, VERSION_12, 2);
  put(record + 3, size, 2);
}

size_t fk_tls_seal(struct fk_tls_protection *protection, uint8_t type, const uint8_t *data, size_t size,
                   uint8_t *record) {
  uint8_t nonce[FK_TLS_IV];
  size_t explicit_size = protection->active && !protection->tls13 ? EXPLICIT_IV : 0;
  uint8_t *content = record + FK_TLS_HEADER + explicit_size;
  if (size > 0) {
    memcpy(content, data, size);
  }
  if (!protection->active) {
    put_header(record, type, size);
    return FK_TLS_HEADER + size;
  }
  if (protection->tls13) {
    content[size++] = type;
    put_header(record, FK_TLS_APPLICATION_DATA, size + TAG);
  } else {
    put_header(record, type, EXPLICIT_IV + size + TAG);
    put(record + FK_TLS_HEADER, protection->sequence, EXPLICIT_IV);
  }
  make_nonce(protection, record + FK_TLS_HEADER, nonce);
  if (!apply_cipher(protection, true, record, nonce, content, size)) {
    return 0;
  }
  protection->sequence++;
  return FK_TLS_HEADER + explicit_size + size + TAG;
}

bool fk_tls_open(struct fk_tls_protection *protection, uint8_t *record, size_t record_size, uint8_t *type,
                 const uint8_t **data, size_t *size) {
  uint8_t nonce[FK_TLS_IV];
  size_t before = FK_TLS_HEADER + (protection->active && !protection->tls13 ? EXPLICIT_IV : 0);
  if (!protection->active) {
    *type = record[0];
    *data = record + FK_TLS_HEADER;
    *size = record_size - FK_TLS_HEADER;
    return true;
  }
  if (record_size < before + TAG) {
    return false;
  }
  size_t content = record_size - before - TAG;
  uint8_t *copy = malloc(content + TAG);
  if (copy == NULL) {
    return false;
  }
  memcpy(copy, record + before, content + TAG);
  make_nonce(protection, record + FK_TLS_HEADER, nonce);
  bool intact = apply_cipher(protection, false, record, nonce, copy, content);
  *type = record[0];
  if (intact && protection->tls13) { /* the true type is the last byte that is not padding */
    while (content > 0 && copy[content - 1] == 0) {
      content--;
    }
    intact = content > 0;
    *type = intact ? copy[--content] : 0;
  }
  if (intact) {
    memcpy(record + before, copy, content);
    *data = record + before;
    *size = content;
    protection->sequence++;
  }
  free(copy);
  return intact;
}
