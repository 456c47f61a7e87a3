/* The life of a peer: its thread, its record of what happened, its end. */
#include "actions.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static void begin_step(struct fk_peer *peer, size_t step) {
  pthread_mutex_lock(&peer->lock);
  peer->current = step;
  peer->records[step].state = FK_RUNNING;
  peer->records[step].started = fk_now();
  pthread_mutex_unlock(&peer->lock);
}

static void end_step(struct fk_peer *peer, size_t step, enum fk_state state) {
  pthread_mutex_lock(&peer->lock);
  peer->records[step].state = state;
  peer->records[step].ended = fk_now();
  peer->completed += state == FK_DONE;
  pthread_cond_broadcast(&peer->changed);
  pthread_mutex_unlock(&peer->lock);
}

static void close_all(struct fk_peer *peer) {
  for (size_t i = 0; i < peer->made; i++) {
    fk_endpoint_close(&peer->connections[i]);
  }
  fk_endpoint_close(&peer->listener);
  fk_forget_passed(peer);
}

static void *play(void *argument) {
  struct fk_peer *peer = argument;
  (void)pthread_setname_np(pthread_self(), "loopproof-peer");
  pthread_mutex_lock(&peer->lock);
  peer->tid = (pid_t)syscall(SYS_gettid);
  pthread_mutex_unlock(&peer->lock);
  enum fk_state state = FK_DONE;
  for (size_t step = 0; step < peer->script.count && state == FK_DONE; step++) {
    begin_step(peer, step);
    state = fk_peer_perform(peer, &peer->script.steps[step]);
    end_step(peer, step, state);
  }
  close_all(peer);
  pthread_mutex_lock(&peer->lock);
  peer->ended = true;
  pthread_cond_broadcast(&peer->changed);
  pthread_mutex_unlock(&peer->lock);
  return NULL;
}

/* Free a peer that has no thread (any more). */
static void discard(struct fk_peer *peer) {
  close_all(peer);
  if (peer->wake >= 0) {
    close(peer->wake);
  }
  fk_script_clear(&peer->script);
  SSL_SESSION_free(peer->tls_session);
  free(peer->connections);
  free(peer->records);
  free(peer->buffer);
  free(peer);
}

struct fk_peer *fk_peer_start(struct fk_script *script, struct fk_endpoint listener, struct fk_endpoint connection,
                              int64_t deadline) {
  struct fk_peer *peer = calloc(1, sizeof *peer);
  int error = ENOMEM;
  if (peer == NULL) {
    fk_script_clear(script);
    fk_endpoint_close(&listener);
    fk_endpoint_close(&connection);
    errno = error;
    return NULL;
  }
  peer->script = *script;
  *script = (struct fk_script){NULL, 0};
  peer->listener = listener;
  peer->passed[0] = peer->passed[1] = -1;
  peer->deadline = deadline;
  peer->process = getpid();
  atomic_init(&peer->stopping, false);
  peer->connections = calloc((size_t)fk_script_connections(&peer->script) + 1, sizeof *peer->connections);
  peer->records = calloc(peer->script.count + 1, sizeof *peer->records);
  peer->buffer = malloc(FK_BUFFER);
  peer->wake = fk_move_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (peer->wake < 0) {
    error = errno;
  }
  if (peer->connections == NULL) {
    fk_endpoint_close(&connection);
    goto no_lock;
  }
  if (connection.kind != FK_NOTHING) {
    peer->connections[0] = connection;
    peer->made = peer->selected = 1;
  }
  if (peer->wake < 0 || peer->records == NULL || peer->buffer == NULL) {
    goto no_lock;
  }
  error = pthread_mutex_init(&peer->lock, NULL);
  if (error != 0) {
    goto no_lock;
  }
  error = fk_condition_initialise(&peer->changed);
  if (error != 0) {
    goto no_condition;
  }
  error = fk_thread_start(&peer->thread, play, peer);
  if (error == 0) {
    return peer;
  }
  pthread_cond_destroy(&peer->changed);
no_condition:
  pthread_mutex_destroy(&peer->lock);
no_lock:
  discard(peer);
  errno = error;
  return NULL;
}

/* The lock is held: nobody joins meanwhile. */
static void wake_up(struct fk_peer *peer) {
  uint64_t one = 1;
  if (peer->wake >= 0) {
    ssize_t written = write(peer->wake, &one, sizeof one);
    (void)written; /* it can only fail where enough wake-ups are pending */
  }
}

void fk_peer_stop(struct fk_peer *peer) {
  atomic_store(&peer->stopping, true);
  pthread_mutex_lock(&peer->lock);
  wake_up(peer);
  pthread_mutex_unlock(&peer->lock);
}

void fk_peer_release(struct fk_peer *peer, uint64_t count) {
  pthread_mutex_lock(&peer->lock);
  peer->permits = count > UINT64_MAX - peer->permits ? UINT64_MAX : peer->permits + count;
  wake_up(peer);
  pthread_mutex_unlock(&peer->lock);
}

bool fk_peer_wait(struct fk_peer *peer, size_t steps, int64_t limit) {
  struct timespec until = fk_timespec(limit < 0 ? 0 : limit);
  int error = 0;
  pthread_mutex_lock(&peer->lock);
  while (!peer->ended && peer->completed < steps && error == 0) {
    error = pthread_cond_timedwait(&peer->changed, &peer->lock, &until);
  }
  bool reached = peer->ended || peer->completed >= steps;
  pthread_mutex_unlock(&peer->lock);
  return reached;
}

void fk_peer_join(struct fk_peer *peer) {
  pthread_mutex_lock(&peer->lock);
  while (!peer->ended || (peer->joining && !peer->joined)) {
    pthread_cond_wait(&peer->changed, &peer->lock);
  }
  bool first = !peer->joining;
  peer->joining = true;
  pid_t tid = peer->tid;
  pthread_mutex_unlock(&peer->lock);
  if (first) {
    pthread_join(peer->thread, NULL);
    fk_thread_await_disappearance(peer->process, tid);
    pthread_mutex_lock(&peer->lock);
    close(peer->wake); /* a peer that is over holds no descriptor, however long the object lives */
    peer->wake = -1;
    peer->joined = true;
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
  }
}

size_t fk_peer_completed(struct fk_peer *peer) {
  pthread_mutex_lock(&peer->lock);
  size_t completed = peer->completed;
  pthread_mutex_unlock(&peer->lock);
  return completed;
}

struct fk_record fk_peer_record(struct fk_peer *peer, size_t step) {
  pthread_mutex_lock(&peer->lock);
  struct fk_record record = peer->records[step];
  pthread_mutex_unlock(&peer->lock);
  return record;
}

/* OpenSSL may have been in the middle of anything when the process forked: what it has is left alone. */
static void abandon_tls(struct fk_peer *peer) {
  for (size_t i = 0; i < peer->made; i++) {
    peer->connections[i].tls = NULL;
  }
  for (size_t i = 0; i < peer->script.count; i++) {
    peer->script.steps[i].tls_context = NULL;
  }
  peer->tls_session = NULL;
}

void fk_peer_destroy(struct fk_peer *peer) {
  if (peer->process == getpid()) {
    fk_peer_stop(peer);
    fk_peer_join(peer);
    pthread_cond_destroy(&peer->changed);
    pthread_mutex_destroy(&peer->lock);
  } else {
    abandon_tls(peer);
  }
  discard(peer);
}
