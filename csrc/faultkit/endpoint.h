/* Descriptors of peers: where they live, what kind they are, how they come to be. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_ENDPOINT_H
#define LOOPPROOF_FAULTKIT_ENDPOINT_H

#include "script.h"

struct fk_tls;

/* Descriptors of the kit live from this number up, out of the way of the low numbers that loops and cases get. */
#define FK_FIRST_DESCRIPTOR 600

enum fk_kind {
  FK_NOTHING,
  FK_LISTENER,
  FK_STREAM,   /* a connected stream socket */
  FK_PACKETS,  /* a connected socket that keeps the boundaries of messages */
  FK_DATAGRAM, /* a socket for datagrams, connected or not */
  FK_FILE,     /* anything else that can be read or written: pipe, pty */
};

struct fk_endpoint {
  int descriptor; /* -1: none */
  enum fk_kind kind;
  struct fk_tls *tls; /* owned; NULL: bytes go over it as they are */
};

/* Duplicate a descriptor to a number from FK_FIRST_DESCRIPTOR up (a lower one if the limit forbids that),
 * close-on-exec. Returns -1 and sets errno on failure; the given one stays open in any case. */
int fk_duplicate_high(int descriptor);

/* Move a descriptor there: like fk_duplicate_high, and the given one is closed in any case. -1 stays -1. */
int fk_move_high(int descriptor);

/* Duplicate what somebody else owns and find out what it is. Listening sockets and everything that is no socket are
 * switched to non-blocking mode (which all duplicates share). Returns 0, or -1 and sets errno. */
int fk_endpoint_adopt(struct fk_endpoint *endpoint, int descriptor);

/* Take over a fresh socket: move it up, find out its kind, let small TCP segments leave at once. The descriptor is
 * closed on failure. Returns 0, or -1 and sets errno. */
int fk_endpoint_take(struct fk_endpoint *endpoint, int descriptor);

/* Accept a connection if there is one. Returns 0, or -1 and sets errno. */
int fk_endpoint_accept(struct fk_endpoint *endpoint, const struct fk_endpoint *listener);

/* Whether what is sent at once is received at once. */
bool fk_keeps_boundaries(const struct fk_endpoint *endpoint);

/* Set the sizes of the buffers of a socket. Returns 0, or -1 and sets errno. */
int fk_set_buffers(int descriptor, const struct fk_buffers *buffers);

/* Close it, if it is open, forget its TLS and make it none. */
void fk_endpoint_close(struct fk_endpoint *endpoint);

/* Close a stream so that the other side gets a reset; where the kind knows no reset it is an ordinary close. */
void fk_endpoint_reset(struct fk_endpoint *endpoint);

/* What follows is in making.c. The buffers are set before anything else, as a small window of TCP has to be. */

/* Listen on a free port of the loopback address (AF_INET, AF_INET6) or on a free abstract name (AF_UNIX).
 * Returns 0, or -1 and sets errno. */
int fk_endpoint_listen(struct fk_endpoint *endpoint, int family, int backlog, const struct fk_buffers *buffers);

/* Bind a socket for datagrams to a free port of the loopback address or to a free abstract name.
 * Returns 0, or -1 and sets errno. */
int fk_endpoint_bind(struct fk_endpoint *endpoint, int family, const struct fk_buffers *buffers);

/* Make a socket of that type that can be connected to the address without blocking; bind it to `local` if that has a
 * size. Returns 0, or -1 and sets errno. */
int fk_endpoint_make(struct fk_endpoint *endpoint, const struct fk_address *address, int type,
                     const struct fk_address *local, const struct fk_buffers *buffers);

/* What fk_endpoint_pair can make; the name tells what the endpoint is. */
enum fk_pair {
  FK_PAIR_TCP,
  FK_PAIR_UNIX,
  FK_PAIR_DATAGRAM, /* UNIX */
  FK_PAIR_PIPE_SOURCE,
  FK_PAIR_PIPE_SINK,
  FK_PAIR_PTY_MASTER,
  FK_PAIR_PTY_TERMINAL,
};

/* Make two connected descriptors: the endpoint, and `*other` for somebody else, close-on-exec and blocking. A terminal
 * is raw. Returns 0, or -1 and sets errno. */
int fk_endpoint_pair(struct fk_endpoint *endpoint, enum fk_pair pair, int *other, const struct fk_buffers *buffers);

#endif
