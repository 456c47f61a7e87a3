/* System calls that the injector knows: names, numbers, groups, plausible errors, where their descriptor and size are.
 * No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_CALLS_H
#define LOOPPROOF_FAULTKIT_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many calls the table has at most; sets of calls are bits of this many. */
#define FK_CALLS_LIMIT 128

/* How the size of a transfer is told. */
enum fk_shape {
  FK_NO_TRANSFER, /* moves nothing, or nothing that is ever cut */
  FK_FLAT,        /* buffer in argument 1, its size in argument 2 */
  FK_SOCKET,      /* the same, a socket's: flags in argument 3 */
  FK_VECTOR,      /* an array of struct iovec in argument 1, its length in argument 2 */
  FK_MESSAGE,     /* a struct msghdr in argument 1, flags in argument 2 */
  FK_COUNTED,     /* from one descriptor to another: the size is argument `size` */
};

struct fk_call {
  const char *name;
  const char *group; /* what else it can be chosen by */
  long number;       /* -1: this architecture has none */
  int descriptor;    /* which argument is the descriptor that it works on; -1: none */
  enum fk_shape shape;
  int size;   /* FK_COUNTED: which argument */
  int source; /* FK_COUNTED: which argument is the descriptor that is read from */
  bool writes;
  const int *errors; /* those it fails with in practice, whatever its caller does right; ends with 0 */
};

struct fk_call_set {
  uint64_t bits[FK_CALLS_LIMIT / 64];
};

extern const struct fk_call fk_calls[];
extern const size_t fk_call_count;

/* Add the calls of that name, group or pattern ("recv*"); the C library's recv and send are recvfrom and sendto here.
 * Tells whether there is one. */
bool fk_call_set_add(struct fk_call_set *set, const char *name);

bool fk_call_set_has(const struct fk_call_set *set, size_t call);

/* The index of the call with that number; fk_call_count if it is not in the table. */
size_t fk_call_numbered(long number);

#endif
