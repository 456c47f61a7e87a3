/* Values of the fields of steps and rules: what kind each is, and its translation from Python. */
#ifndef LOOPPROOF_FAULTKIT_VALUES_H
#define LOOPPROOF_FAULTKIT_VALUES_H

#include "module.h"

enum fk_value {
  FK_SEED,        /* uint64_t, any */
  FK_SIZE,        /* uint64_t, 0 to FK_PATTERN_LIMIT */
  FK_FIRST,       /* uint64_t, the number of a connection */
  FK_COUNT,       /* uint64_t, 1 to FK_MOST_CONNECTIONS */
  FK_DESCRIPTORS, /* uint64_t, 0 to FK_MOST_PASSED */
  FK_BYTES,       /* struct fk_bytes */
  FK_SIZES,       /* struct fk_sizes */
  FK_SECONDS,     /* int64_t, nanoseconds */
  FK_ADDRESS,     /* struct fk_address, None: of no size */
  FK_LOCAL,       /* the same, to bind to */
  FK_SOCKET_TYPE, /* int: 'stream', 'datagram', 'seqpacket' */
  FK_BUFFER_SIZE, /* int, 0: as it is */
  FK_FLAG,        /* bool */
  FK_TEXT,        /* struct fk_bytes, the text in UTF-8 */
  FK_PROTOCOLS,   /* struct fk_bytes, as ALPN has them */
  FK_NUMBERS,     /* struct fk_sizes, that may be 0 */
  FK_BYTE,        /* uint8_t */
  FK_TICKETS,     /* uint64_t, 0 to FK_TLS_MOST_TICKETS */
  FK_FRAGMENT,    /* uint64_t, 0 to FK_TLS_PLAINTEXT */
};

/* Translate a value into what `target` points to, which has the type that the kind names. Returns 0, or -1 with an
 * exception set whose message does not name the field. */
int fk_parse_value(PyObject *value, enum fk_value kind, void *target);

/* The numbers among them: a whole one from `least` to `most`, one from 0 to `most`, and seconds, up to a day, in
 * nanoseconds. Return 0, or -1 with an exception set whose message does not name what it is about. */
int fk_parse_number(PyObject *value, uint64_t least, uint64_t most, uint64_t *result);
int fk_parse_real(PyObject *value, double most, double *result);
int fk_parse_seconds(PyObject *value, int64_t *result);

/* Put "PREFIX: " before the message of the exception that is set, if it says that a value makes no sense; it is a
 * ValueError or TypeError then. Steals the reference to the text, which may be NULL. */
void fk_prefix_error(PyObject *prefix);

#endif
