/* Rules of the injector: which one a call falls under, what descriptors are open on, sets of calls. */

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cases.h"
#include "rule.h"

static size_t call_named(const char *name) {
  for (size_t i = 0; i < fk_call_count; i++)
    if (strcmp(fk_calls[i].name, name) == 0)
      return i;
  CHECK(!"the name of a call");
  return 0;
}

static struct fk_rule rule_for(const char *calls, enum fk_action action) {
  struct fk_rule rule = {
      .wheres = 1u << FK_WHERE_thread, .action = action, .nth = 1, .count = UINT64_MAX, .probability = 1.0};
  CHECK(fk_call_set_add(&rule.calls, calls));
  return rule;
}

static struct fk_sighting sighting_of(const char *call) {
  return (struct fk_sighting){.call = call_named(call), .where = FK_WHERE_thread, .target = FK_TARGET_tcp, .size = 100};
}

static void test_sets_take_names_groups_and_patterns(void) {
  struct fk_call_set set = {{0}};
  CHECK(fk_call_set_add(&set, "read"));
  CHECK(fk_call_set_has(&set, call_named("read")));
  CHECK(!fk_call_set_has(&set, call_named("readv")));
  CHECK(fk_call_set_add(&set, "accepting"));
  CHECK(fk_call_set_has(&set, call_named("accept")) && fk_call_set_has(&set, call_named("accept4")));
  CHECK(fk_call_set_add(&set, "recv"));
  CHECK(fk_call_set_has(&set, call_named("recvfrom")) && !fk_call_set_has(&set, call_named("recvmsg")));
  CHECK(fk_call_set_add(&set, "epoll_*"));
  CHECK(fk_call_set_has(&set, call_named("epoll_wait")) && fk_call_set_has(&set, call_named("epoll_ctl")));
  CHECK(!fk_call_set_add(&set, "futex") && !fk_call_set_add(&set, ""));
  for (size_t i = 0; i < fk_call_count; i++)
    if (fk_calls[i].number >= 0)
      CHECK(fk_call_numbered(fk_calls[i].number) == i);
}

static void test_the_nth_match_and_no_other(void) {
  struct fk_rule rules[] = {rule_for("read", FK_ACTION_fail), rule_for("reading", FK_ACTION_delay)};
  struct fk_sighting sighting = sighting_of("read");
  rules[0].nth = 3;
  rules[0].count = 2;
  const size_t expected[] = {1, 1, 0, 0, 1, 1};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    CHECK(fk_rules_choose(rules, 2, &sighting, 0) == expected[i]);
  CHECK(rules[0].seen == 6 && rules[0].chosen == 2);
  CHECK(rules[1].seen == 6 && rules[1].chosen == 4);
}

static void test_callers_and_kinds(void) {
  struct fk_rule rules[] = {rule_for("read", FK_ACTION_fail)};
  struct fk_sighting sighting = sighting_of("read");
  sighting.where = FK_WHERE_children;
  CHECK(fk_rules_choose(rules, 1, &sighting, 0) == 1);
  sighting.where = FK_WHERE_thread;
  rules[0].targets = 1u << FK_TARGET_pipe;
  CHECK(fk_rules_choose(rules, 1, &sighting, 0) == 1);
  sighting.target = FK_TARGET_pipe;
  CHECK(fk_rules_choose(rules, 1, &sighting, 0) == 0);
  sighting = sighting_of("write");
  CHECK(fk_rules_choose(rules, 1, &sighting, 0) == 1);
  CHECK(rules[0].seen == 1);
}

static void test_only_streams_are_cut(void) {
  struct fk_rule rules[] = {rule_for("read", FK_ACTION_short)};
  struct fk_sighting sighting = sighting_of("read");
  rules[0].size = 10;
  CHECK(fk_rules_choose(rules, 1, &sighting, 0) == 0);
  sighting.size = 10;
  CHECK(fk_rules_choose(rules, 1, &sighting, 0) == 1);
  sighting.size = 100;
  for (int target = 0; target < FK_TARGET_COUNT; target++) {
    bool stream = target == FK_TARGET_tcp || target == FK_TARGET_unix_stream || target == FK_TARGET_pipe ||
                  target == FK_TARGET_file || target == FK_TARGET_device;
    sighting.target = (enum fk_target)target;
    CHECK((fk_rules_choose(rules, 1, &sighting, 0) == 0) == stream);
  }
}

static void test_draws_repeat_with_the_seed(void) {
  struct fk_sighting sighting = sighting_of("read");
  size_t differing = 0;
  struct fk_rule rules[] = {rule_for("read", FK_ACTION_fail)};
  struct fk_rule again[] = {rule_for("read", FK_ACTION_fail)};
  struct fk_rule others[] = {rule_for("read", FK_ACTION_fail)};
  rules[0].probability = again[0].probability = others[0].probability = 0.25;
  for (int i = 0; i < 10000; i++) {
    size_t chosen = fk_rules_choose(rules, 1, &sighting, 7);
    CHECK(fk_rules_choose(again, 1, &sighting, 7) == chosen);
    differing += fk_rules_choose(others, 1, &sighting, 8) != chosen;
  }
  CHECK(rules[0].chosen > 2200 && rules[0].chosen < 2800);
  CHECK(differing > 1000);
}

static void test_kinds_of_descriptors(void) {
  int pair[2];
  int pipes[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0);
  const struct {
    int descriptor;
    enum fk_target target;
  } opened[] = {
      {socket(AF_INET, SOCK_STREAM, 0), FK_TARGET_tcp},
      {socket(AF_INET, SOCK_DGRAM, 0), FK_TARGET_udp},
      {pair[0], FK_TARGET_unix_stream},
      {socket(AF_UNIX, SOCK_DGRAM, 0), FK_TARGET_unix_datagram},
      {pipes[0], FK_TARGET_pipe},
      {open("/proc/self/exe", O_RDONLY), FK_TARGET_file},
      {open("/dev/null", O_RDWR), FK_TARGET_device},
      {eventfd(0, 0), FK_TARGET_eventfd},
      {epoll_create1(0), FK_TARGET_epoll},
      {timerfd_create(CLOCK_MONOTONIC, 0), FK_TARGET_timerfd},
      {open("/", O_RDONLY), FK_TARGET_other},
      {-1, FK_TARGET_closed},
      {1 << 20, FK_TARGET_closed},
  };
  for (size_t i = 0; i < sizeof opened / sizeof *opened; i++) {
    enum fk_target target = opened[i].target;
    CHECK(fk_target_of(opened[i].descriptor) == target);
    CHECK(fk_target_in(getpid(), opened[i].descriptor) == (target < FK_TARGET_socket ? FK_TARGET_socket : target));
  }
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"sets", test_sets_take_names_groups_and_patterns},
      {"nth", test_the_nth_match_and_no_other},
      {"callers", test_callers_and_kinds},
      {"streams", test_only_streams_are_cut},
      {"draws", test_draws_repeat_with_the_seed},
      {"kinds", test_kinds_of_descriptors},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
