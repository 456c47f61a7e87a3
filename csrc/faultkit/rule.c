/* Which rule a system call falls under. */
#include "rule.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH 48

const char *fk_where_name(enum fk_where where) {
  static const char *const names[] = {
#define NAME(name) #name,
      FK_WHERES(NAME)
#undef NAME
  };
  return names[where];
}

const char *fk_target_name(enum fk_target target) {
  static const char *const names[] = {
#define NAME(name, text) text,
      FK_TARGETS(NAME)
#undef NAME
          "",
  };
  return names[target];
}

const char *fk_action_name(enum fk_action action) {
  static const char *const names[] = {
#define NAME(name) #name,
      FK_ACTIONS(NAME)
#undef NAME
  };
  return names[action];
}

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t value) {
  value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
  return value ^ (value >> 31);
}

/* The nth number of the stream of a rule, from 0 up to, but not, 1. */
static double draw(uint64_t seed, size_t rule, uint64_t nth) {
  const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
  uint64_t stream = mix(seed + ((uint64_t)rule + 1) * step);
  return (double)(mix(stream + nth * step) >> 11) * 0x1p-53;
}

/* What can be read and written in parts without a loss. */
static bool is_stream(enum fk_target target) {
  return target == FK_TARGET_tcp || target == FK_TARGET_unix_stream || target == FK_TARGET_pipe ||
         target == FK_TARGET_file || target == FK_TARGET_device;
}

static bool fits(const struct fk_rule *rule, const struct fk_sighting *sighting) {
  return fk_call_set_has(&rule->calls, sighting->call) && (rule->wheres >> sighting->where & 1) != 0 &&
         (rule->targets == 0 || (rule->targets >> sighting->target & 1) != 0);
}

/* Whether the rule can be applied to a call that it fits. */
static bool applies(const struct fk_rule *rule, const struct fk_sighting *sighting) {
  return rule->action != FK_ACTION_short ||
         (sighting->where != FK_WHERE_children && sighting->size > rule->size && is_stream(sighting->target));
}

size_t fk_rules_choose(struct fk_rule *rules, size_t count, const struct fk_sighting *sighting, uint64_t seed) {
  size_t chosen = count;
  for (size_t i = 0; i < count; i++) {
    struct fk_rule *rule = &rules[i];
    if (!fits(rule, sighting)) {
      continue;
    }
    uint64_t seen = ++rule->seen;
    bool drawn = rule->probability >= 1.0 || draw(seed, i, seen) < rule->probability;
    if (chosen == count && drawn && seen >= rule->nth && rule->chosen < rule->count && applies(rule, sighting)) {
      rule->chosen++;
      chosen = i;
    }
  }
  return chosen;
}

static enum fk_target target_of_socket(int descriptor) {
  int domain = 0;
  int type = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
      getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) < 0) {
    return FK_TARGET_socket;
  }
  if (domain == AF_UNIX) {
    return type == SOCK_STREAM ? FK_TARGET_unix_stream : FK_TARGET_unix_datagram;
  }
  if (domain == AF_INET || domain == AF_INET6) {
    return type == SOCK_STREAM ? FK_TARGET_tcp : type == SOCK_DGRAM ? FK_TARGET_udp : FK_TARGET_socket;
  }
  return FK_TARGET_socket;
}

/* What has no file type of its own says in /proc what it is: "anon_inode:[eventfd]". */
static enum fk_target target_of_anonymous(const char *path) {
  static const struct {
    const char *text;
    enum fk_target target;
  } known[] = {
      {"[eventfd]", FK_TARGET_eventfd},   {"[eventpoll]", FK_TARGET_epoll}, {"[timerfd]", FK_TARGET_timerfd},
      {"[signalfd]", FK_TARGET_signalfd}, {"[pidfd]", FK_TARGET_pidfd},     {"pidfd:", FK_TARGET_pidfd},
      {"[io_uring]", FK_TARGET_io_uring},
  };
  char text[64];
  ssize_t size = readlink(path, text, sizeof text - 1);
  text[size < 0 ? 0 : size] = '\0';
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strstr(text, known[i].text) != NULL) {
      return known[i].target;
    }
  }
  return FK_TARGET_other;
}

static enum fk_target target_by_mode(mode_t mode, const char *path) {
  return S_ISSOCK(mode)   ? FK_TARGET_socket
         : S_ISFIFO(mode) ? FK_TARGET_pipe
         : S_ISREG(mode)  ? FK_TARGET_file
         : S_ISCHR(mode)  ? FK_TARGET_device
                          : target_of_anonymous(path);
}

enum fk_target fk_target_of(int descriptor) {
  struct stat status;
  char path[PATH];
  if (fstat(descriptor, &status) < 0) {
    return FK_TARGET_closed;
  }
  if (S_ISSOCK(status.st_mode)) {
    return target_of_socket(descriptor);
  }
  (void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  return target_by_mode(status.st_mode, path);
}

enum fk_target fk_target_in(pid_t task, int descriptor) {
  struct stat status;
  char path[PATH];
  (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)task, descriptor);
  return stat(path, &status) < 0 ? FK_TARGET_closed : target_by_mode(status.st_mode, path);
}
