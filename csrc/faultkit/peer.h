/* A peer: a thread that plays a script on a connection and notes what happened. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_PEER_H
#define LOOPPROOF_FAULTKIT_PEER_H

#include "endpoint.h"
#include "pattern.h"
#include "script.h"
#include "thread.h"
#include "tls.h"

#include <stdatomic.h>
#include <sys/types.h>

#define FK_RETRY (FK_SECOND / 1000) /* between two tries of what cannot be waited for */
#define FK_DETAIL 400
#define FK_BUFFER ((size_t)256 * 1024)

enum fk_state {
  FK_PENDING, /* not begun */
  FK_RUNNING,
  FK_DONE,
  FK_FAILED,
  FK_LATE,    /* the deadline of the peer passed in it */
  FK_STOPPED, /* the peer was told to stop */
};

/* What happened in one step. Times are of CLOCK_MONOTONIC in nanoseconds, 0: not yet. */
struct fk_record {
  enum fk_state state;
  int64_t started;
  int64_t ended;
  uint64_t bytes;         /* moved, and where the step verifies: right */
  char detail[FK_DETAIL]; /* why it failed */
};

struct fk_peer {
  /* Set before the thread starts and not changed after. */
  struct fk_script script;
  int64_t deadline;
  pid_t process;
  pthread_t thread;
  int wake; /* eventfd; also what a stop and a release write to */
  /* The thread's alone while it runs. */
  struct fk_endpoint listener;
  struct fk_endpoint *connections; /* room for all that the script makes */
  size_t made;                     /* of them, open or closed */
  size_t first;                    /* selected */
  size_t selected;
  struct fk_endpoint *connection; /* the one that is acted on */
  struct fk_address source;       /* where the last datagram came from; size 0: from nobody that can be answered */
  int passed[2];                  /* the pipe whose end is passed on to see what becomes of it; -1: none */
  SSL_SESSION *tls_session;       /* the last that can be resumed; NULL: none */
  struct fk_stream stream;        /* of the seed that the current step has, if it has one */
  uint8_t *buffer;                /* FK_BUFFER bytes */
  size_t current;
  /* Shared. */
  atomic_bool stopping;
  pthread_mutex_t lock; /* guards all below */
  pthread_cond_t changed;
  struct fk_record *records; /* one a step */
  size_t completed;          /* steps done */
  uint64_t permits;          /* releases that no hold has used */
  bool ended;
  bool joining;
  bool joined;
  pid_t tid; /* 0 until the thread has begun */
};

/* Start a peer that ends at `deadline` at the latest. It takes over the script, which has been checked, and the
 * endpoints in any case. Returns NULL and sets errno on failure. */
struct fk_peer *fk_peer_start(struct fk_script *script, struct fk_endpoint listener, struct fk_endpoint connection,
                              int64_t deadline);

/* Tell the thread to stop; returns at once. */
void fk_peer_stop(struct fk_peer *peer);

/* Let `count` holds pass. */
void fk_peer_release(struct fk_peer *peer, uint64_t count);

/* Wait until `steps` steps are done or the peer has ended, at most until `limit`. Tells whether either is so. */
bool fk_peer_wait(struct fk_peer *peer, size_t steps, int64_t limit);

/* Wait until the thread is gone for the kernel, too. Any number of calls, from any thread. The thread must have
 * ended or been told to stop, else this may take until its deadline. */
void fk_peer_join(struct fk_peer *peer);

/* How many steps are done. */
size_t fk_peer_completed(struct fk_peer *peer);

/* Copy what is noted of one step. */
struct fk_record fk_peer_record(struct fk_peer *peer, size_t step);

/* Stop, join and free. In a forked child, where the thread does not exist, only the descriptors are closed. */
void fk_peer_destroy(struct fk_peer *peer);

#endif
