/* The check that a script makes sense: it is gone through with what is known of each connection. */
#include "script.h"

#include <stdlib.h>
#include <string.h>

enum phase { CLOSED, OPEN, SHUT /* for sending */ };

enum security { PLAIN, BEGUN /* TLS, without a handshake so far */, SECURED };

struct link {
  enum phase phase;
  enum security security;
};

struct scene {
  bool listening;
  struct link *links; /* the connections made so far */
  uint64_t made;
  uint64_t first; /* selected */
  uint64_t count;
  uint64_t acts;
};

static bool sends(enum fk_verb verb) {
  return verb == FK_VERB_send || verb == FK_VERB_send_pattern || verb == FK_VERB_send_ancillary ||
         verb == FK_VERB_echo || verb == FK_VERB_shutdown || verb == FK_VERB_tls_handshake ||
         verb == FK_VERB_tls_uncork || (verb >= FK_VERB_tls_raw && verb <= FK_VERB_tls_tickets);
}

static bool begins_tls(enum fk_verb verb) { return verb == FK_VERB_tls_server || verb == FK_VERB_tls_client; }

static bool needs_tls(enum fk_verb verb) { return verb >= FK_VERB_tls_early_data; }

/* Whether it acts on what goes over TLS, where that has begun. */
static bool moves_bytes(enum fk_verb verb) {
  return verb != FK_VERB_shutdown && verb != FK_VERB_buffers && fk_verb_scope(verb) == FK_EACH && !needs_tls(verb);
}

/* Why a step does not suit the TLS of a connection, NULL if it does; and what becomes of that. */
static const char *act_on_security(enum security *security, const struct fk_step *step) {
  enum fk_verb verb = step->verb;
  bool is_plain_only = verb == FK_VERB_send_ancillary || step->urgent || step->more || step->address.size > 0;
  if (begins_tls(verb)) {
    const char *reason = *security == PLAIN ? NULL : "TLS has begun before";
    *security = BEGUN;
    return reason;
  }
  if (*security == PLAIN) {
    return needs_tls(verb) ? "TLS has not begun" : NULL;
  }
  if (is_plain_only) {
    return "that does not go over TLS";
  }
  if (*security == BEGUN && moves_bytes(verb)) {
    return "TLS has begun, but there was no handshake";
  }
  if (verb == FK_VERB_tls_handshake) {
    *security = SECURED;
  } else if (verb == FK_VERB_tls_forget) {
    *security = PLAIN;
  }
  return NULL;
}

/* Why a step cannot act on the selected connections, NULL if it can; and what becomes of them. */
static const char *act_on_each(struct scene *now, const struct fk_step *step) {
  enum fk_verb verb = step->verb;
  if (now->count == 0) {
    return "no connection is open";
  }
  for (uint64_t i = now->first; i < now->first + now->count; i++) {
    enum phase *phase = &now->links[i].phase;
    if (*phase == CLOSED) {
      return "no connection is open";
    }
    if (*phase == SHUT && sends(verb)) {
      return "the connection has been shut down for sending";
    }
    const char *reason = act_on_security(&now->links[i].security, step);
    if (reason != NULL) {
      return reason;
    }
    if (verb == FK_VERB_shutdown) {
      *phase = SHUT;
    } else if (fk_verb_scope(verb) == FK_CLOSES) {
      *phase = CLOSED;
    }
  }
  now->acts += now->count;
  return NULL;
}

static const char *act_once(struct scene *now, const struct fk_step *step) {
  now->acts++;
  if (step->verb == FK_VERB_use) {
    if (step->first >= now->made || step->count > now->made - step->first) {
      return "there are not that many connections";
    }
    now->first = step->first;
    now->count = step->count;
  } else if (step->verb == FK_VERB_unlisten) {
    if (!now->listening) {
      return "the peer has no listening socket";
    }
    now->listening = false;
  }
  return NULL;
}

static const char *open_more(struct scene *now, const struct fk_step *step) {
  bool needs_listener = step->verb == FK_VERB_accept || step->address.size == 0;
  if (needs_listener && !now->listening) {
    return "the peer has no listening socket";
  }
  now->first = now->made;
  now->count = step->count;
  for (uint64_t i = 0; i < step->count; i++) {
    now->links[now->made++] = (struct link){OPEN, PLAIN};
  }
  now->acts += step->count;
  return NULL;
}

static const char *act(struct scene *now, const struct fk_step *step) {
  const char *reason;
  switch (fk_verb_scope(step->verb)) {
  case FK_OPENS:
    reason = open_more(now, step);
    break;
  case FK_ONCE:
    reason = act_once(now, step);
    break;
  default:
    reason = act_on_each(now, step);
  }
  return reason == NULL && now->acts > FK_MOST_ACTS ? "the script acts more than 10000000 times" : reason;
}

size_t fk_script_check(const struct fk_script *script, bool connected, bool listening, const char **reason) {
  uint64_t most = fk_script_connections(script);
  struct scene now = {.listening = listening, .made = connected, .count = connected};
  size_t step = 0;
  *reason = "the script makes more than 100000 connections";
  if (most > FK_MOST_CONNECTIONS) {
    return 0;
  }
  *reason = NULL;
  now.links = calloc((size_t)most + 1, sizeof *now.links);
  if (now.links == NULL) {
    return 0;
  }
  now.links[0].phase = OPEN;
  while (step < script->count && (*reason = act(&now, &script->steps[step])) == NULL) {
    step++;
  }
  free(now.links);
  return step;
}
