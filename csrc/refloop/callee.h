/* What the loop calls: handles of Python and pollees of C. The ring of what is ready and the table of watched
   descriptors hold both, as callees: pointers of which the lowest bit tells a pollee from a handle. */

#ifndef REFLOOP_CALLEE_H
#define REFLOOP_CALLEE_H

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "poll.h"

struct handle;
struct loop;

struct pollee;

/* What is the same for all pollees of one kind. */
struct pollee_kind {
  /* Called in its turn, in no context of its own, if it is still watched. Returns 0, or -1 with an exception that is to
     leave the run. It may stop watching. */
  int (*run)(struct loop *loop, struct pollee *pollee);
  size_t place; /* of the pollee in the object that owns it; 0 for a part of the loop itself */
  bool at_once; /* run() does no more than queue: it is called when the descriptor is found ready, not in its turn */
};

/* Something in C that is told when a descriptor is ready: a part of the object that owns it, which is kept alive as
   long as the pollee is watched or queued. All zero but for `kind` is one that is not watched. */
struct pollee {
  const struct pollee_kind *kind;
  int fd; /* while it is watched */
  uint8_t direction;
  bool watched; /* in the table of descriptors, which then owns a reference to the owner */
  bool ready;   /* found ready since it is watched, and not run yet */
  bool queued;  /* in the ring, which then owns a reference to the owner */
};

/* The object that owns a pollee, NULL if that is the loop. */
static inline PyObject *pollee_owner(struct pollee *pollee) {
  return pollee->kind->place ? (PyObject *)((char *)pollee - pollee->kind->place) : NULL;
}

/* Has the pollee told when the descriptor is ready, and nobody else who was to be told of that; nothing if it is
   watched already. Returns 0, or -1 with an exception. */
int pollee_watch(struct loop *loop, struct pollee *pollee, int fd, enum poll_direction direction);

/* Undoes that; nothing if it is not watched. Whatever has its descriptor's number now is left alone. May release the
   owner. */
void pollee_unwatch(struct loop *loop, struct pollee *pollee);

/* The same for one that is told when its descriptor is readable, and is likely to be watched again soon. */
void pollee_leave(struct loop *loop, struct pollee *pollee);

static inline void *callee_of_pollee(struct pollee *pollee) { return (void *)((uintptr_t)pollee | 1); }

/* The pollee that a callee is, NULL if it is a handle. */
static inline struct pollee *callee_pollee(void *callee) {
  return (uintptr_t)callee & 1 ? (struct pollee *)((uintptr_t)callee - 1) : NULL;
}

/* The object that a callee keeps alive, NULL if that is the loop. */
static inline PyObject *callee_object(void *callee) {
  struct pollee *pollee = callee_pollee(callee);

  return pollee != NULL ? pollee_owner(pollee) : (PyObject *)callee;
}

/* Queues a callee whose descriptor is ready. Returns 0, or -1 with an exception that is to leave the run. */
int callee_queue(struct loop *loop, void *callee);

/* Calls what was taken out of the ring, and releases it. Returns 0, or -1 with an exception that is to leave the run.
 */
int callee_run(struct loop *loop, void *callee);

/* What the garbage collector has to go through for a callee in the ring. */
int callee_traverse(void *callee, visitproc visit, void *arg);

/* Releases what was taken out of the ring without calling it. */
void callee_drop(void *callee);

/* Releases a callee, or NULL, that was taken out of the table of descriptors. */
void callee_unwatched(void *callee);

/* The same, and it is not to be called any more. */
void callee_displaced(void *callee);

#endif
