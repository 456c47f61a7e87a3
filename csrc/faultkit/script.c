/* Scripts of peers: names of verbs, ownership, and the check that a script makes sense. */
#include "script.h"

#include <stdlib.h>
#include <string.h>

static const char *const verb_names[] = {
#define FK_NAME(name) #name,
    FK_VERBS(FK_NAME)
#undef FK_NAME
};

const char *fk_verb_name(enum fk_verb verb) { return verb_names[verb]; }

enum fk_verb fk_verb_named(const char *name) {
  for (int verb = 0; verb < FK_VERB_COUNT; verb++) {
    if (strcmp(verb_names[verb], name) == 0) {
      return (enum fk_verb)verb;
    }
  }
  return FK_VERB_COUNT;
}

void fk_step_clear(struct fk_step *step) {
  free(step->data.data);
  free(step->chunks.values);
  step->data = (struct fk_bytes){NULL, 0};
  step->chunks = (struct fk_sizes){NULL, 0};
}

void fk_script_clear(struct fk_script *script) {
  for (size_t i = 0; i < script->count; i++) {
    fk_step_clear(&script->steps[i]);
  }
  free(script->steps);
  *script = (struct fk_script){NULL, 0};
}

/* What is known of the connection before a step runs. */
struct expectation {
  bool connected;
  bool listening;
  bool shut;
};

static bool sends(enum fk_verb verb) {
  return verb == FK_VERB_send || verb == FK_VERB_send_pattern || verb == FK_VERB_echo || verb == FK_VERB_shutdown;
}

static bool works_without_connection(enum fk_verb verb) { return verb == FK_VERB_pause || verb == FK_VERB_hold; }

/* Why a step cannot work, NULL if it can. */
static const char *objection(enum fk_verb verb, const struct expectation *now) {
  if (verb == FK_VERB_accept && !now->listening) {
    return "the peer has no listening socket";
  }
  if (verb == FK_VERB_accept || verb == FK_VERB_connect) {
    return now->connected ? "a connection is open already" : NULL;
  }
  if (works_without_connection(verb) || (verb == FK_VERB_buffers && now->listening)) {
    return NULL;
  }
  if (!now->connected) {
    return "no connection is open";
  }
  return now->shut && sends(verb) ? "the connection has been shut down for sending" : NULL;
}

size_t fk_script_check(const struct fk_script *script, bool connected, bool listening, const char **reason) {
  struct expectation now = {connected, listening, false};
  for (size_t i = 0; i < script->count; i++) {
    enum fk_verb verb = script->steps[i].verb;
    *reason = objection(verb, &now);
    if (*reason != NULL) {
      return i;
    }
    if (verb == FK_VERB_accept || verb == FK_VERB_connect) {
      now.connected = true;
      now.shut = false;
    } else if (verb == FK_VERB_shutdown) {
      now.shut = true;
    } else if (verb == FK_VERB_close || verb == FK_VERB_reset || verb == FK_VERB_expect_reset) {
      now.connected = false;
    }
  }
  return script->count;
}
