/* How a step is played: which function, on which connections, and what is noted of it. */
#include "actions.h"

#include <stdarg.h>
#include <stdio.h>

typedef enum fk_state action(struct fk_peer *peer, const struct fk_step *step);

static action *const actions[] = {
#define FK_ENTRY(name, scope) fk_do_##name,
    FK_VERBS(FK_ENTRY)
#undef FK_ENTRY
};

enum fk_state fk_peer_perform(struct fk_peer *peer, const struct fk_step *step) {
  enum fk_scope scope = fk_verb_scope(step->verb);
  enum fk_state state = FK_DONE;
  peer->connection = NULL;
  if (scope == FK_OPENS || scope == FK_ONCE) {
    return actions[step->verb](peer, step);
  }
  for (size_t i = 0; i < peer->selected && state == FK_DONE; i++) {
    peer->connection = &peer->connections[peer->first + i];
    state = fk_peer_check(peer);
    if (state == FK_DONE) {
      state = actions[step->verb](peer, step);
    }
  }
  return state;
}

void fk_peer_count(struct fk_peer *peer, size_t bytes) {
  pthread_mutex_lock(&peer->lock);
  peer->records[peer->current].bytes += bytes;
  pthread_mutex_unlock(&peer->lock);
}

enum fk_state fk_peer_fail(struct fk_peer *peer, const char *format, ...) {
  int prefix = 0;
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&peer->lock);
  char *detail = peer->records[peer->current].detail;
  if (peer->connection != NULL && peer->selected > 1) {
    prefix = snprintf(detail, FK_DETAIL, "connection %zu: ", (size_t)(peer->connection - peer->connections));
  }
  (void)vsnprintf(detail + prefix, FK_DETAIL - (size_t)prefix, format, arguments);
  pthread_mutex_unlock(&peer->lock);
  va_end(arguments);
  return FK_FAILED;
}
