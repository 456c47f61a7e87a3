/* The type Peer: what its files share. */
#ifndef LOOPPROOF_FAULTKIT_PEER_TYPE_H
#define LOOPPROOF_FAULTKIT_PEER_TYPE_H

#include "module.h"

#include "peer.h"

typedef struct {
  PyObject_HEAD struct fk_peer *peer;
  PyObject *script;  /* tuple of dicts */
  PyObject *address; /* of the socket that listens or is bound, or None */
  int other;         /* the other end of a pair, until it is taken; -1: none */
  double deadline;
} PeerObject;

/* What a peer starts with, as the arguments of Peer() say it; NULL: not given. */
struct fk_options {
  PyObject *connection;
  const char *listen;
  const char *bind;
  const char *pair;
  int backlog;
  struct fk_buffers buffers;
};

/* Make or adopt the endpoints that the options want; both are none before. `*other` becomes the other end of a pair.
 * Returns 0, or -1 with an exception set. */
int fk_open_endpoints(const struct fk_options *options, struct fk_endpoint *listener, struct fk_endpoint *connection,
                      int *other);

/* The address of a socket in the form that socket.getsockname() has; an abstract name as a str. */
PyObject *fk_address_of(const struct fk_endpoint *endpoint);

/* Make the type of the entries of a log. */
PyTypeObject *fk_make_entry_type(void);

/* Make the log: an entry for each step that has begun. */
PyObject *fk_make_log(PeerObject *self, PyTypeObject *entry_type);

/* Raise the AssertionError about a step that did not come to its end. */
void fk_raise_failure(PeerObject *self, size_t step, const struct fk_record *failed);

#endif
