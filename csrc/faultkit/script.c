/* Scripts of peers: names and scopes of verbs, ownership of steps. */
#include "script.h"

#include "tls_context.h"

#include <stdlib.h>
#include <string.h>

static const char *const verb_names[] = {
#define FK_NAME(name, scope) #name,
    FK_VERBS(FK_NAME)
#undef FK_NAME
};

static const enum fk_scope verb_scopes[] = {
#define FK_SCOPE(name, scope) FK_##scope,
    FK_VERBS(FK_SCOPE)
#undef FK_SCOPE
};

const char *fk_verb_name(enum fk_verb verb) { return verb_names[verb]; }

enum fk_scope fk_verb_scope(enum fk_verb verb) { return verb_scopes[verb]; }

enum fk_verb fk_verb_named(const char *name) {
  for (int verb = 0; verb < FK_VERB_COUNT; verb++) {
    if (strcmp(verb_names[verb], name) == 0) {
      return (enum fk_verb)verb;
    }
  }
  return FK_VERB_COUNT;
}

void fk_step_clear(struct fk_step *step) {
  struct fk_tls_settings *tls = &step->tls;
  struct fk_bytes *all[] = {&step->data,     &tls->certificate, &tls->key,    &tls->authority,
                            &tls->protocols, &tls->server_name, &tls->version};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    free(all[i]->data);
    *all[i] = (struct fk_bytes){NULL, 0};
  }
  free(step->chunks.values);
  step->chunks = (struct fk_sizes){NULL, 0};
  fk_tls_context_free(step->tls_context);
  step->tls_context = NULL;
}

void fk_script_clear(struct fk_script *script) {
  for (size_t i = 0; i < script->count; i++) {
    fk_step_clear(&script->steps[i]);
  }
  free(script->steps);
  *script = (struct fk_script){NULL, 0};
}

uint64_t fk_script_connections(const struct fk_script *script) {
  uint64_t sum = 0;
  for (size_t i = 0; i < script->count && sum <= FK_MOST_CONNECTIONS; i++) {
    if (fk_verb_scope(script->steps[i].verb) == FK_OPENS) {
      sum += script->steps[i].count;
    }
  }
  return sum;
}
