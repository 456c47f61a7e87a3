/* How a supervisor lives, and how it answers. */
#include "supervisor.h"

#include "edges.h"
#include "endpoint.h"
#include "filter.h"
#include "thread.h"
#include "transfers.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How many calls can be delayed at once; the next are let through. */
#define MOST_DELAYED 64
/* How long a close may go unnoticed while calls are delayed. */
#define SLICE (FK_SECOND / 100)
/* Bytes for each of the kernel's structures, which may be longer than those that we know. */
#define ROOM 512

struct delayed {
  uint64_t id;
  int64_t until;
};

/* What the thread has for itself. */
struct desk {
  struct fk_supervisor *supervisor;
  int listener;
  union {
    struct seccomp_notif call;
    uint8_t room[ROOM];
  } request;
  union {
    struct seccomp_notif_resp call;
    uint8_t room[ROOM];
  } answer;
  struct delayed delayed[MOST_DELAYED];
  size_t delayed_count;
};

/* Answer a call: `error` is an error number or 0, `value` what it returns then. The call may be gone (killed). */
static void answer(struct desk *desk, uint64_t id, int error, int64_t value, uint32_t flags) {
  desk->answer.call = (struct seccomp_notif_resp){.id = id, .val = value, .error = -error, .flags = flags};
  while (ioctl(desk->listener, SECCOMP_IOCTL_NOTIF_SEND, &desk->answer) < 0 && errno == EINTR) {
  }
}

static void let_through(struct desk *desk, uint64_t id) { answer(desk, id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE); }

/* Whose call it is; the kernel names threads, not processes. */
static enum fk_where where_of(const struct fk_supervisor *supervisor, pid_t task) {
  if (task == supervisor->task) {
    return FK_WHERE_thread;
  }
  return syscall(SYS_tgkill, supervisor->process, task, 0) == 0 ? FK_WHERE_threads : FK_WHERE_children;
}

static bool push_delayed(struct desk *desk, uint64_t id, int64_t until) {
  if (desk->delayed_count == MOST_DELAYED) {
    return false;
  }
  desk->delayed[desk->delayed_count++] = (struct delayed){id, until};
  return true;
}

/* Let those through that have waited long enough; all, once it is closed. Returns when to look again, INT64_MAX: never.
 */
static int64_t release_delayed(struct desk *desk) {
  int64_t now = desk->delayed_count == 0 ? 0 : fk_now();
  bool open = atomic_load(&desk->supervisor->open);
  int64_t next = INT64_MAX;
  for (size_t i = 0; i < desk->delayed_count;) {
    struct delayed *delayed = &desk->delayed[i];
    if (!open || delayed->until <= now) {
      let_through(desk, delayed->id);
      *delayed = desk->delayed[--desk->delayed_count];
    } else {
      next = delayed->until < next ? delayed->until : next;
      i++;
    }
  }
  return next > now + SLICE && next != INT64_MAX ? now + SLICE : next;
}

/* Do what the rule says, and note in the event what was done. Returns whether it could be done. */
static bool follow(struct desk *desk, const struct fk_rule *rule, struct fk_event *event) {
  const struct fk_call *call = &fk_calls[event->call];
  const uint64_t *arguments = (const uint64_t *)desk->request.call.data.args;
  bool ours = event->where != FK_WHERE_children;
  bool done = true;
  switch (rule->action) {
  case FK_ACTION_allow:
    return true;
  case FK_ACTION_fail:
    event->outcome = rule->error;
    done = call->number != SYS_close || (ours && fk_close_in_place(event->descriptor) == 0);
    break;
  case FK_ACTION_short:
    event->outcome = fk_transfer_part(call, arguments, rule->size);
    done = event->outcome != FK_NOT_DONE;
    break;
  case FK_ACTION_delay:
    event->outcome = rule->delay;
    done = push_delayed(desk, desk->request.call.id, event->time + rule->delay);
    break;
  case FK_ACTION_COUNT:
    done = false;
    break;
  }
  bool would_wait = rule->action == FK_ACTION_short || (rule->action == FK_ACTION_fail && rule->error == EAGAIN);
  if (done && would_wait && ours && event->target != FK_TARGET_none) {
    fk_edges_renew(event->descriptor);
  }
  event->action = (uint8_t)(done ? rule->action : FK_ACTION_allow);
  event->outcome = done ? event->outcome : 0;
  return done;
}

/* Decide about a call, note it, answer it. It is in the trace before its thread goes on. */
static void decide(struct desk *desk) {
  struct fk_supervisor *supervisor = desk->supervisor;
  const struct seccomp_data *data = &desk->request.call.data;
  uint64_t id = desk->request.call.id;
  size_t number = fk_call_numbered(data->nr);
  if (!atomic_load(&supervisor->open) || number == fk_call_count) {
    let_through(desk, id);
    return;
  }
  const struct fk_call *call = &fk_calls[number];
  pid_t task = (pid_t)desk->request.call.pid;
  int descriptor = call->descriptor < 0 ? -1 : (int)data->args[call->descriptor];
  enum fk_where where = where_of(supervisor, task);
  bool ours = where != FK_WHERE_children;
  struct fk_sighting sighting = {
      .call = number,
      .where = where,
      .target = call->descriptor < 0 ? FK_TARGET_none
                : ours               ? fk_target_of(descriptor)
                                     : fk_target_in(task, descriptor),
      .size = ours ? fk_transfer_size(call, (const uint64_t *)data->args) : 0,
  };
  struct fk_event event = {
      .time = fk_now(),
      .nth = ++supervisor->seen[number][where][sighting.target],
      .size = sighting.size,
      .task = task,
      .descriptor = descriptor,
      .rule = FK_NO_RULE,
      .call = (uint16_t)number,
      .where = (uint8_t)where,
      .target = (uint8_t)sighting.target,
      .action = FK_ACTION_allow,
  };
  size_t chosen = fk_rules_choose(supervisor->rules, supervisor->count, &sighting, supervisor->seed);
  if (chosen < supervisor->count) {
    event.rule = (uint32_t)chosen;
    if (!follow(desk, &supervisor->rules[chosen], &event)) {
      supervisor->rules[chosen].chosen--; /* its turn is still to come */
    }
  }
  fk_trace_add(&supervisor->trace, &event);
  if (event.action == FK_ACTION_fail) {
    answer(desk, id, (int)event.outcome, 0, 0);
  } else if (event.action == FK_ACTION_short) {
    answer(desk, id, event.outcome < 0 ? (int)-event.outcome : 0, event.outcome < 0 ? 0 : event.outcome, 0);
  } else if (event.action == FK_ACTION_allow) {
    let_through(desk, id);
  }
}

/* Answer until nothing is under the filter any more. */
static void serve(struct desk *desk) {
  for (;;) {
    int64_t next = release_delayed(desk);
    int64_t now = next == INT64_MAX ? 0 : fk_now();
    struct timespec patience = fk_timespec(next > now ? next - now : 0);
    struct pollfd watched = {.fd = desk->listener, .events = POLLIN};
    int ready = ppoll(&watched, 1, next == INT64_MAX ? NULL : &patience, NULL);
    if (ready < 0 && errno != EINTR) {
      return;
    }
    if (ready > 0 && (watched.revents & POLLIN) == 0) {
      return; /* POLLHUP: nobody is left */
    }
    memset(&desk->request, 0, sizeof desk->request);
    if (ready > 0 && ioctl(desk->listener, SECCOMP_IOCTL_NOTIF_RECV, &desk->request) == 0) {
      decide(desk);
    }
  }
}

/* Whether the kernel's structures have room in ours. Returns 0 or an error number. */
static int check_sizes(void) {
  struct seccomp_notif_sizes sizes;
  if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0) {
    return errno;
  }
  return sizes.seccomp_notif > ROOM || sizes.seccomp_notif_resp > ROOM ? EOPNOTSUPP : 0;
}

static void change_state(struct fk_supervisor *supervisor, enum fk_supervisor_state state) {
  pthread_mutex_lock(&supervisor->lock);
  supervisor->state = state;
  pthread_cond_broadcast(&supervisor->changed);
  pthread_mutex_unlock(&supervisor->lock);
}

static void *supervise(void *argument) {
  struct fk_supervisor *supervisor = argument;
  struct desk desk = {.supervisor = supervisor};
  (void)pthread_setname_np(pthread_self(), "loopproof-super");
  pthread_mutex_lock(&supervisor->lock);
  supervisor->own = (pid_t)syscall(SYS_gettid);
  while (supervisor->state == FK_SUPERVISOR_NEW) {
    pthread_cond_wait(&supervisor->changed, &supervisor->lock);
  }
  bool bound = supervisor->state == FK_SUPERVISOR_BOUND;
  pthread_mutex_unlock(&supervisor->lock);
  if (bound) {
    /* The filtered thread could not move it up itself: its own calls wait for us already. */
    int high = fk_duplicate_high(atomic_load(&supervisor->listener));
    if (high >= 0) {
      close(atomic_exchange(&supervisor->listener, high));
    }
    desk.listener = atomic_load(&supervisor->listener);
    serve(&desk);
    close(atomic_exchange(&supervisor->listener, -1));
  }
  change_state(supervisor, FK_SUPERVISOR_ENDED);
  fk_supervisor_release(supervisor);
  return NULL;
}

struct fk_supervisor *fk_supervisor_new(struct fk_rule *rules, size_t count, uint64_t seed) {
  struct fk_supervisor *supervisor = calloc(1, sizeof *supervisor);
  if (supervisor == NULL) {
    free(rules);
    errno = ENOMEM;
    return NULL;
  }
  supervisor->rules = rules;
  supervisor->count = count;
  supervisor->seed = seed;
  supervisor->process = getpid();
  atomic_init(&supervisor->open, true);
  atomic_init(&supervisor->references, 1);
  atomic_init(&supervisor->listener, -1);
  int error = pthread_mutex_init(&supervisor->lock, NULL);
  if (error == 0) {
    error = fk_condition_initialise(&supervisor->changed);
    if (error == 0) {
      error = fk_trace_reserve(&supervisor->trace) < 0 ? errno : 0;
      if (error == 0) {
        return supervisor;
      }
      pthread_cond_destroy(&supervisor->changed);
    }
    pthread_mutex_destroy(&supervisor->lock);
  }
  free(supervisor->rules);
  free(supervisor);
  errno = error;
  return NULL;
}

/* Whether a rule moves part of a transfer, which must not be undone by a signal afterwards. */
static bool needs_certainty(const struct fk_supervisor *supervisor) {
  for (size_t i = 0; i < supervisor->count; i++) {
    if (supervisor->rules[i].action == FK_ACTION_short) {
      return true;
    }
  }
  return false;
}

int fk_supervisor_bind(struct fk_supervisor *supervisor) {
  struct fk_call_set calls = {{0}};
  pthread_t thread;
  for (size_t i = 0; i < supervisor->count; i++) {
    for (size_t word = 0; word < sizeof calls.bits / sizeof *calls.bits; word++) {
      calls.bits[word] |= supervisor->rules[i].calls.bits[word];
    }
  }
  int error = check_sizes();
  if (error != 0) {
    return error;
  }
  supervisor->task = (pid_t)syscall(SYS_gettid);
  atomic_fetch_add(&supervisor->references, 1);
  error = fk_thread_start(&thread, supervise, supervisor);
  if (error != 0) {
    atomic_fetch_sub(&supervisor->references, 1);
    return error;
  }
  (void)pthread_detach(thread);
  /* From the filter to the state, this thread must do no call that may be matched: nobody answers yet. */
  int listener = fk_filter_install(&calls, needs_certainty(supervisor));
  error = listener < 0 ? errno : 0;
  supervisor->task = listener < 0 ? 0 : supervisor->task;
  atomic_store(&supervisor->listener, listener);
  change_state(supervisor, listener < 0 ? FK_SUPERVISOR_ENDED : FK_SUPERVISOR_BOUND);
  return error;
}

void fk_supervisor_close(struct fk_supervisor *supervisor) { atomic_store(&supervisor->open, false); }

/* Whether the kernel says that nothing is under the filter any more: then the supervisor will end for certain, be it
 * that it has had no turn to notice yet. */
static bool is_alone(const struct fk_supervisor *supervisor) {
  struct pollfd listener = {.fd = atomic_load(&supervisor->listener)};
  bool hung_up = listener.fd >= 0 && poll(&listener, 1, 0) > 0 && (listener.revents & POLLHUP) != 0;
  return hung_up || atomic_load(&supervisor->listener) < 0; /* it has noticed just now */
}

bool fk_supervisor_wait(struct fk_supervisor *supervisor, int64_t limit) {
  struct timespec until = fk_timespec(limit < 0 ? 0 : limit);
  int error = 0;
  pthread_mutex_lock(&supervisor->lock);
  while (supervisor->state == FK_SUPERVISOR_BOUND && error == 0) {
    error = pthread_cond_timedwait(&supervisor->changed, &supervisor->lock, &until);
  }
  while (supervisor->state == FK_SUPERVISOR_BOUND && is_alone(supervisor)) {
    pthread_cond_wait(&supervisor->changed, &supervisor->lock);
  }
  bool ended = supervisor->state == FK_SUPERVISOR_ENDED;
  pid_t own = supervisor->own;
  pthread_mutex_unlock(&supervisor->lock);
  if (ended && own != 0) {
    fk_thread_await_disappearance(supervisor->process, supervisor->task);
    fk_thread_await_disappearance(supervisor->process, own);
  }
  return ended;
}

void fk_supervisor_release(struct fk_supervisor *supervisor) {
  if (atomic_fetch_sub(&supervisor->references, 1) > 1) {
    return;
  }
  pthread_cond_destroy(&supervisor->changed);
  pthread_mutex_destroy(&supervisor->lock);
  fk_trace_release(&supervisor->trace);
  free(supervisor->rules);
  free(supervisor);
}

void fk_supervisor_enlist(struct fk_supervisor **list, struct fk_supervisor *supervisor) {
  while (*list != NULL) {
    struct fk_supervisor *listed = *list;
    if (fk_supervisor_wait(listed, 0)) {
      *list = listed->next;
      fk_supervisor_release(listed);
    } else {
      list = &listed->next;
    }
  }
  atomic_fetch_add(&supervisor->references, 1);
  supervisor->next = NULL;
  *list = supervisor;
}

void fk_supervisors_release(struct fk_supervisor **list) {
  while (*list != NULL) {
    struct fk_supervisor *listed = *list;
    *list = listed->next;
    fk_supervisor_release(listed);
  }
}

void fk_supervisors_forked(struct fk_supervisor *const *list) {
  for (const struct fk_supervisor *listed = *list; listed != NULL; listed = listed->next) {
    int listener = atomic_load(&listed->listener);
    if (listener >= 0) {
      (void)syscall(SYS_close_range, listener, listener, 0); /* not close(), which may be a matched call */
    }
  }
}
