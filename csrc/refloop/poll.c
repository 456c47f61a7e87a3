/* The descriptors that the loop watches, by epoll.

   A registration is known to the kernel by the descriptor's number and to us by a generation, too. So an event of a
   file that was closed does not reach the one that has its number now. The kernel keeps registrations of closed numbers
   as long as the file is open elsewhere (after dup() or fork()), and nobody can take them away: when an event of such a
   one comes, the set is made anew. */

#include "poll.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MIN_FOUND 16
#define MIN_TABLE 64u
#define NANOSECONDS 1000000000
#define NANOSECONDS_PER_MS 1000000

static uint32_t events_of(const struct poll_entry *entry) {
  return (entry->callees[POLL_READ] != NULL || entry->left ? (uint32_t)EPOLLIN : 0) |
         (entry->callees[POLL_WRITE] != NULL ? (uint32_t)EPOLLOUT : 0);
}

static int control(struct poll *poll, int operation, int fd, uint32_t events) {
  uint32_t generation = poll->table[fd].generation;
  struct epoll_event event = {.events = events, .data = {.u64 = (uint64_t)generation << 32 | (uint32_t)fd}};

  return epoll_ctl(poll->set, operation, fd, &event);
}

/* Opens the set with the waker in it, which is known by the generation 0. It is edge-triggered: each write is an event,
   and nobody has to read. */
static int open_set(struct poll *poll) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.u64 = 0}};
  int set = epoll_create1(EPOLL_CLOEXEC);

  if (set < 0)
    return -1;
  if (epoll_ctl(set, EPOLL_CTL_ADD, poll->waker, &event) < 0) {
    int error = errno;
    close(set);
    errno = error;
    return -1;
  }
  poll->set = set;
  return 0;
}

void poll_init(struct poll *poll) {
  memset(poll, 0, sizeof(*poll));
  poll->set = -1;
}

int poll_open(struct poll *poll) {
  poll_init(poll);
  if ((poll->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
    return -1;
  if (open_set(poll) < 0) {
    int error = errno;
    close(poll->waker);
    errno = error;
    return -1;
  }
  return 0;
}

void poll_close(struct poll *poll) {
  if (poll->set >= 0) {
    close(poll->set);
    close(poll->waker);
  }
  free(poll->table);
  free(poll->found);
  poll_init(poll);
}

/* Makes room for this descriptor in the table. */
static int reserve(struct poll *poll, int fd) {
  size_t size = poll->size ? (size_t)poll->size : MIN_TABLE;
  struct poll_entry *table;

  if (fd < poll->size)
    return 0;
  while (size <= (size_t)fd)
    size *= 2;
  table = size > INT_MAX ? NULL : realloc(poll->table, size * sizeof(*table));
  if (table == NULL) {
    errno = ENOMEM;
    return -1;
  }
  memset(table + poll->size, 0, (size - (size_t)poll->size) * sizeof(*table));
  poll->table = table;
  poll->size = (int)size;
  return 0;
}

/* Notes that the kernel does not watch a descriptor any more. */
static void forget(struct poll *poll, struct poll_entry *entry) {
  entry->generation = 0;
  poll->count--;
}

/* Registers a descriptor that is in the table without callees. */
static int register_new(struct poll *poll, int fd, uint32_t events) {
  struct poll_entry *entry = &poll->table[fd];

  if (++poll->generation == 0)
    poll->generation = 1;
  entry->generation = poll->generation;
  poll->count++;
  if (control(poll, EPOLL_CTL_ADD, fd, events) == 0 ||
      (errno == EEXIST && control(poll, EPOLL_CTL_MOD, fd, events) == 0))
    return 0;
  forget(poll, entry);
  return -1;
}

/* Whether the kernel refused for want of memory, or because the user watches too much: not for what the descriptor is.
 */
static bool out_of_resources(int error) { return error == ENOMEM || error == ENOSPC; }

int poll_add(struct poll *poll, int fd, enum poll_direction direction, void *callee, void *displaced[2]) {
  uint32_t event = direction == POLL_READ ? EPOLLIN : EPOLLOUT, events;
  struct poll_entry *entry;

  displaced[POLL_READ] = displaced[POLL_WRITE] = NULL;
  if (reserve(poll, fd) < 0)
    return -1;
  entry = &poll->table[fd];
  events = events_of(entry);
  if (events != 0 && control(poll, EPOLL_CTL_MOD, fd, events | event) < 0) {
    if (out_of_resources(errno))
      return -1;
    /* what was watched under this number was closed meanwhile */
    displaced[!direction] = entry->callees[!direction];
    entry->callees[!direction] = NULL;
    forget(poll, entry);
    events = 0;
  }
  displaced[direction] = entry->callees[direction];
  entry->callees[direction] = NULL;
  entry->left = false;
  if (events == 0 && register_new(poll, fd, event) < 0)
    return -1;
  entry->callees[direction] = callee;
  return 0;
}

/* Tells the kernel that less is watched of a descriptor than before, or nothing. Returns 0, or -1 with errno. */
static int narrow(struct poll *poll, int fd) {
  uint32_t events = events_of(&poll->table[fd]);
  int failed = control(poll, events != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, fd, events);

  if (events == 0)
    forget(poll, &poll->table[fd]);
  return failed;
}

bool poll_remove(struct poll *poll, int fd, enum poll_direction direction, void *callee) {
  struct poll_entry *entry;

  if (callee == NULL || poll_callee(poll, fd, direction) != callee)
    return false;
  entry = &poll->table[fd];
  entry->callees[direction] = NULL;
  entry->left = false;
  /* the kernel refuses when the file is closed already: then it has forgotten it by itself */
  (void)narrow(poll, fd);
  return true;
}

bool poll_leave(struct poll *poll, int fd, void *callee) {
  if (callee == NULL || poll_callee(poll, fd, POLL_READ) != callee)
    return false;
  poll->table[fd].callees[POLL_READ] = NULL;
  poll->table[fd].left = true;
  return true;
}

int poll_claim(struct poll *poll, int fd, void *claimant) {
  if (reserve(poll, fd) < 0)
    return -1;
  poll->table[fd].claimant = claimant;
  return 0;
}

void poll_disclaim(struct poll *poll, int fd, void *claimant) {
  if (poll_claimant(poll, fd) == claimant)
    poll->table[fd].claimant = NULL;
}

void poll_prepare(struct poll *poll) {
  int capacity = poll->found_capacity ? poll->found_capacity : MIN_FOUND;
  struct epoll_event *found;

  while (capacity <= poll->count && capacity <= INT_MAX / 2)
    capacity *= 2;
  if (capacity == poll->found_capacity)
    return;
  found = realloc(poll->found, (size_t)capacity * sizeof(*found));
  if (found != NULL) { /* else some of them have to wait for the next turn */
    poll->found = found;
    poll->found_capacity = capacity;
  }
}

/* epoll_wait() with nanoseconds. */
static int wait_finely(struct poll *poll, int64_t timeout) {
#ifdef SYS_epoll_pwait2
  struct timespec limit = {.tv_sec = (time_t)(timeout / NANOSECONDS), .tv_nsec = (long)(timeout % NANOSECONDS)};

  return (int)syscall(SYS_epoll_pwait2, poll->set, poll->found, poll->found_capacity, &limit, NULL, 0);
#else
  (void)poll;
  (void)timeout;
  errno = ENOSYS;
  return -1;
#endif
}

int poll_wait(struct poll *poll, int64_t timeout) {
  int count = -1, error;

  if (poll->found_capacity == 0) {
    errno = ENOMEM;
    return -1;
  }
  errno = ENOSYS;
  if (timeout > 0 && !poll->coarse)
    count = wait_finely(poll, timeout);
  if (count < 0 && (errno == ENOSYS || errno == EPERM)) { /* an older kernel, or one that is told to act like that */
    int64_t ms = timeout <= 0 ? timeout : timeout / NANOSECONDS_PER_MS + (timeout % NANOSECONDS_PER_MS != 0);

    poll->coarse |= timeout > 0;
    count = epoll_wait(poll->set, poll->found, poll->found_capacity, ms < 0 ? -1 : ms > INT_MAX ? INT_MAX : (int)ms);
  }
  error = errno;
  poll->found_count = count > 0 ? count : 0;
  if (count >= 0 || error == EINTR)
    return 0;
  errno = error;
  return -1;
}

/* Makes the set anew of what is in the table and in the old set. What is in the table alone was closed: whatever has
   its number now is not watched by us. */
static void renew(struct poll *poll) {
  int old = poll->set, new;

  if (open_set(poll) < 0)
    return; /* the old one goes on; at the next event of this kind it is tried again */
  new = poll->set;
  for (int fd = 0; fd < poll->size; fd++) {
    struct poll_entry *entry = &poll->table[fd];
    bool known;

    if (entry->generation == 0)
      continue;
    poll->set = old;
    known = control(poll, EPOLL_CTL_MOD, fd, events_of(entry)) == 0;
    poll->set = new;
    if (known)
      (void)control(poll, EPOLL_CTL_ADD, fd, events_of(entry));
  }
  close(old);
}

/* Tells the callee of one direction of a registration that was found ready. If that is left there is none, and the
   kernel stops watching. Sets *orphan if it cannot: the file is open under another number alone. */
static int tell_one(struct poll *poll, int fd, uint32_t generation, enum poll_direction direction,
                    int (*tell)(void *context, void *callee), void *context, bool *orphan) {
  struct poll_entry *entry = &poll->table[fd]; /* looked up anew: telling another one may have changed the table */

  if (entry->generation != generation)
    return 0;
  if (entry->callees[direction] != NULL)
    return tell(context, entry->callees[direction]);
  if (direction == POLL_READ && entry->left) {
    entry->left = false;
    *orphan |= narrow(poll, fd) < 0;
  }
  return 0;
}

int poll_take(struct poll *poll, int (*tell)(void *context, void *callee), void *context) {
  int count = poll->found_count;
  bool orphans = false;

  poll->found_count = 0;
  for (int i = 0; i < count; i++) {
    uint32_t events = poll->found[i].events, generation = (uint32_t)(poll->found[i].data.u64 >> 32);
    uint32_t fd = (uint32_t)poll->found[i].data.u64;

    if (generation == 0) /* the waker */
      continue;
    if (generation != poll->table[fd].generation) {
      orphans = true;
      continue;
    }
    /* an error or a hang-up is told to both, as by asyncio */
    if ((events & ~(uint32_t)EPOLLOUT) && tell_one(poll, (int)fd, generation, POLL_READ, tell, context, &orphans) < 0)
      return -1;
    if ((events & ~(uint32_t)EPOLLIN) && tell_one(poll, (int)fd, generation, POLL_WRITE, tell, context, &orphans) < 0)
      return -1;
  }
  if (orphans)
    renew(poll);
  return 0;
}

void poll_wake(struct poll *poll) {
  uint64_t one = 1;
  ssize_t written = write(poll->waker, &one, sizeof(one));

  (void)written; /* fails only when the count is full, and then the waker has been readable for long */
}
