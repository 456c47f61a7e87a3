/* Protection of TLS records in one direction, AES-128-GCM only: for records that OpenSSL itself would never make. */
#ifndef LOOPPROOF_FAULTKIT_TLS_PROTECTION_H
#define LOOPPROOF_FAULTKIT_TLS_PROTECTION_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FK_TLS_HEADER ((size_t)5)
#define FK_TLS_SECRET ((size_t)32) /* of SHA-256 */
#define FK_TLS_MASTER ((size_t)48)
#define FK_TLS_RANDOM ((size_t)32)
#define FK_TLS_KEY ((size_t)16)
#define FK_TLS_IV ((size_t)12)
#define FK_TLS_PLAINTEXT ((size_t)16384) /* most in one record that keeps to the rules */
#define FK_TLS_EXPANSION ((size_t)24)    /* most that protection adds to what is in a record */
#define FK_TLS_MOST ((size_t)65535)      /* most after a header: its length has two bytes */

enum fk_tls_type {
  FK_TLS_CHANGE_CIPHER_SPEC = 20,
  FK_TLS_ALERT = 21,
  FK_TLS_HANDSHAKE = 22,
  FK_TLS_APPLICATION_DATA = 23,
};

/* How records are protected from now on. Zeroed: not at all. */
struct fk_tls_protection {
  bool active;
  bool tls13;
  uint64_t sequence;
  uint8_t secret[FK_TLS_SECRET]; /* TLS 1.3: the traffic secret */
  uint8_t key[FK_TLS_KEY];
  uint8_t iv[FK_TLS_IV]; /* TLS 1.2: the first 4 bytes, the others are in each record */
};

/* Start with a traffic secret of TLS 1.3. Returns whether that worked. */
bool fk_tls_protect_13(struct fk_tls_protection *protection, const uint8_t secret[FK_TLS_SECRET]);

/* Go on with the traffic secret that follows: what a key update does. Returns whether that worked. */
bool fk_tls_protect_next(struct fk_tls_protection *protection);

/* Start with the master secret of TLS 1.2. Returns whether that worked. */
bool fk_tls_protect_12(struct fk_tls_protection *protection, const uint8_t master[FK_TLS_MASTER],
                       const uint8_t client_random[FK_TLS_RANDOM], const uint8_t server_random[FK_TLS_RANDOM],
                       bool of_server);

/* Make a record of `size` bytes (at most FK_TLS_MOST - FK_TLS_EXPANSION) at `record`, which has room for
 * FK_TLS_HEADER + size + FK_TLS_EXPANSION. Returns the size of the record, 0 on failure. */
size_t fk_tls_seal(struct fk_tls_protection *protection, uint8_t type, const uint8_t *data, size_t size,
                   uint8_t *record);

/* Open a whole record in place: `*type` and `*size` tell what is in it, from `*data` on. Returns whether it is intact;
 * if not, it and the protection are as before. */
bool fk_tls_open(struct fk_tls_protection *protection, uint8_t *record, size_t record_size, uint8_t *type,
                 const uint8_t **data, size_t *size);

#endif
