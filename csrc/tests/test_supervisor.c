/* The filter and its supervisor: threads and children under them, the ends of both. */

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "filter.h"
#include "supervisor.h"
#include "thread.h"

#define LONG_ENOUGH (fk_now() + 60 * FK_SECOND)

/* Exit status of CTest for what cannot be tried here. */
#define SKIPPED 77

static struct fk_rule rule_for(const char *calls, enum fk_action action) {
  struct fk_rule rule = {
      .wheres = 1u << FK_WHERE_thread, .action = action, .nth = 1, .count = UINT64_MAX, .probability = 1.0};
  CHECK(fk_call_set_add(&rule.calls, calls));
  return rule;
}

/* A supervisor with one rule, not bound yet. */
static struct fk_supervisor *supervisor_with(struct fk_rule rule) {
  struct fk_rule *rules = malloc(sizeof *rules);
  CHECK(rules != NULL);
  *rules = rule;
  struct fk_supervisor *supervisor = fk_supervisor_new(rules, 1, 0);
  CHECK(supervisor != NULL);
  return supervisor;
}

/* Run a function in a thread of its own and wait for it. */
static void in_thread(void *(*function)(void *), void *argument) {
  pthread_t thread;
  int error = fk_filter_probe(true);
  if (error != 0) {
    printf("the kernel refuses: %s\n", strerror(error));
    exit(SKIPPED);
  }
  CHECK(pthread_create(&thread, NULL, function, argument) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
}

static void *fail_the_second_random(void *argument) {
  uint32_t number;
  CHECK(fk_supervisor_bind(argument) == 0);
  CHECK(syscall(SYS_getrandom, &number, sizeof number, 0) == sizeof number);
  CHECK(syscall(SYS_getrandom, &number, sizeof number, 0) == -1 && errno == ENOSYS);
  CHECK(syscall(SYS_getrandom, &number, sizeof number, 0) == sizeof number);
  CHECK(syscall(SYS_getppid) == getppid());
  return NULL;
}

static void test_a_call_fails_and_is_in_the_trace(void) {
  struct fk_rule rule = rule_for("getrandom", FK_ACTION_fail);
  rule.nth = 2;
  rule.count = 1;
  rule.error = ENOSYS;
  struct fk_supervisor *supervisor = supervisor_with(rule);
  in_thread(fail_the_second_random, supervisor);
  CHECK(fk_supervisor_wait(supervisor, LONG_ENOUGH));
  CHECK(supervisor->trace.count == 3 && supervisor->trace.lost == 0);
  for (size_t i = 0; i < 3; i++) {
    const struct fk_event *event = &supervisor->trace.events[i];
    CHECK(fk_calls[event->call].number == SYS_getrandom);
    CHECK(event->nth == i + 1 && event->where == FK_WHERE_thread && event->target == FK_TARGET_none);
    CHECK(event->action == (i == 1 ? FK_ACTION_fail : FK_ACTION_allow));
    CHECK(event->outcome == (i == 1 ? ENOSYS : 0));
  }
  CHECK(atomic_load(&supervisor->listener) == -1);
  fk_supervisor_release(supervisor);
}

struct transfer {
  struct fk_supervisor *supervisor;
  int ends[2];
};

static void *cut_a_write(void *argument) {
  struct transfer *transfer = argument;
  CHECK(fk_supervisor_bind(transfer->supervisor) == 0);
  CHECK(write(transfer->ends[0], "hello", 5) == 2);
  CHECK(write(transfer->ends[0], "l", 1) == 1);
  return NULL;
}

static void test_a_write_is_cut(void) {
  char text[16];
  struct fk_rule rule = rule_for("write", FK_ACTION_short);
  rule.size = 2;
  struct transfer transfer = {.supervisor = supervisor_with(rule)};
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, transfer.ends) == 0);
  in_thread(cut_a_write, &transfer);
  CHECK(read(transfer.ends[1], text, sizeof text) == 3 && memcmp(text, "hel", 3) == 0);
  CHECK(transfer.supervisor->trace.count == 2 && transfer.supervisor->trace.events[0].outcome == 2);
  fk_supervisor_release(transfer.supervisor);
}

static void *close_with_an_error(void *argument) {
  struct transfer *transfer = argument;
  CHECK(fk_supervisor_bind(transfer->supervisor) == 0);
  CHECK(close(transfer->ends[0]) == -1 && errno == EIO);
  CHECK(close(transfer->ends[0]) == -1 && errno == EBADF);
  return NULL;
}

static void test_a_close_that_fails_has_closed(void) {
  struct fk_rule rule = rule_for("close", FK_ACTION_fail);
  rule.error = EIO;
  struct transfer transfer = {.supervisor = supervisor_with(rule)};
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, transfer.ends) == 0);
  in_thread(close_with_an_error, &transfer);
  char text;
  CHECK(read(transfer.ends[1], &text, 1) == 0);
  fk_supervisor_release(transfer.supervisor);
}

static void *wait_for_random(void *argument) {
  uint32_t number;
  CHECK(fk_supervisor_bind(argument) == 0);
  CHECK(syscall(SYS_getrandom, &number, sizeof number, 0) == sizeof number);
  return NULL;
}

static void test_a_delay_delays(void) {
  struct fk_rule rule = rule_for("getrandom", FK_ACTION_delay);
  rule.delay = FK_SECOND / 20;
  struct fk_supervisor *supervisor = supervisor_with(rule);
  int64_t began = fk_now();
  in_thread(wait_for_random, supervisor);
  CHECK(fk_now() - began >= rule.delay);
  fk_supervisor_release(supervisor);
}

static void *close_soon(void *argument) {
  struct fk_supervisor *supervisor = argument;
  while (atomic_load(&supervisor->trace.count) == 0)
    sched_yield();
  fk_supervisor_close(supervisor);
  return NULL;
}

static void test_a_close_ends_delays(void) {
  struct fk_rule rule = rule_for("getrandom", FK_ACTION_delay);
  rule.delay = 86400 * FK_SECOND;
  struct fk_supervisor *supervisor = supervisor_with(rule);
  pthread_t closer;
  CHECK(pthread_create(&closer, NULL, close_soon, supervisor) == 0);
  in_thread(wait_for_random, supervisor);
  CHECK(pthread_join(closer, NULL) == 0);
  fk_supervisor_release(supervisor);
}

static void *outlive_the_owner(void *argument) {
  uint32_t number;
  struct fk_supervisor *supervisor = argument;
  CHECK(fk_supervisor_bind(supervisor) == 0);
  fk_supervisor_close(supervisor);
  fk_supervisor_release(supervisor);
  for (int i = 0; i < 100; i++)
    CHECK(syscall(SYS_getrandom, &number, sizeof number, 0) == sizeof number);
  return NULL;
}

static void test_calls_go_on_when_the_owner_is_gone(void) {
  struct fk_rule rule = rule_for("getrandom", FK_ACTION_fail);
  rule.error = EIO;
  in_thread(outlive_the_owner, supervisor_with(rule));
}

static void *have_a_child(void *argument) {
  uint32_t number;
  struct fk_supervisor *supervisor = argument;
  CHECK(fk_supervisor_bind(supervisor) == 0);
  CHECK(syscall(SYS_getrandom, &number, sizeof number, 0) == -1 && errno == EIO);
  pid_t child = fork();
  if (child == 0) {
    fk_supervisors_forked(&supervisor);
    if (syscall(SYS_getrandom, &number, sizeof number, 0) != sizeof number)
      _exit(1);
    execl("/bin/cat", "cat", "/dev/null", (char *)NULL);
    _exit(2);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  return NULL;
}

static void test_children_go_on_through_exec(void) {
  struct fk_rule *rules = malloc(2 * sizeof *rules);
  CHECK(rules != NULL);
  rules[0] = rule_for("getrandom", FK_ACTION_fail);
  rules[0].error = EIO;
  rules[1] = rule_for("*", FK_ACTION_allow);
  struct fk_supervisor *supervisor = fk_supervisor_new(rules, 2, 0);
  CHECK(supervisor != NULL);
  in_thread(have_a_child, supervisor);
  size_t of_child = 0;
  for (size_t i = 0; i < supervisor->trace.count; i++)
    of_child += supervisor->trace.events[i].where == FK_WHERE_children;
  CHECK(of_child > 2);
  CHECK(supervisor->rules[0].seen == 1);
  fk_supervisor_release(supervisor);
}

static void *bind_twice(void *argument) {
  struct fk_supervisor **supervisors = argument;
  CHECK(fk_supervisor_bind(supervisors[0]) == 0);
  CHECK(fk_supervisor_bind(supervisors[1]) == EBUSY);
  CHECK(fk_filter_probe(false) == EBUSY);
  return NULL;
}

static void test_one_filter_a_thread(void) {
  struct fk_supervisor *supervisors[] = {supervisor_with(rule_for("getrandom", FK_ACTION_allow)),
                                         supervisor_with(rule_for("getrandom", FK_ACTION_allow))};
  in_thread(bind_twice, supervisors);
  CHECK(fk_supervisor_wait(supervisors[1], LONG_ENOUGH));
  fk_supervisor_release(supervisors[0]);
  fk_supervisor_release(supervisors[1]);
}

static void test_lists_forget_those_that_ended(void) {
  struct fk_supervisor *list = NULL;
  for (int i = 0; i < 3; i++) {
    struct fk_supervisor *supervisor = supervisor_with(rule_for("getrandom", FK_ACTION_allow));
    in_thread(wait_for_random, supervisor);
    CHECK(fk_supervisor_wait(supervisor, LONG_ENOUGH));
    fk_supervisor_enlist(&list, supervisor);
    CHECK(list == supervisor && list->next == NULL);
    fk_supervisor_release(supervisor);
  }
  fk_supervisor_release(list);
}

static void hold_up(int signal_number) {
  (void)signal_number;
  struct timespec half_a_second = fk_timespec(FK_SECOND / 2);
  nanosleep(&half_a_second, NULL);
}

static void *leave_it_held_up(void *argument) {
  struct fk_supervisor *supervisor = argument;
  uint32_t number;
  CHECK(fk_supervisor_bind(supervisor) == 0);
  CHECK(syscall(SYS_getrandom, &number, sizeof number, 0) == sizeof number);
  CHECK(syscall(SYS_tgkill, supervisor->process, supervisor->own, SIGFPE) == 0);
  return NULL;
}

static void test_a_late_end_is_waited_for(void) {
  struct fk_supervisor *supervisor = supervisor_with(rule_for("getrandom", FK_ACTION_allow));
  CHECK(signal(SIGFPE, hold_up) != SIG_ERR); /* which the supervisor does not block */
  in_thread(leave_it_held_up, supervisor);
  fk_thread_await_disappearance(supervisor->process, supervisor->task);
  CHECK(fk_supervisor_wait(supervisor, fk_now() + FK_SECOND / 10));
  CHECK(atomic_load(&supervisor->listener) == -1);
  fk_supervisor_release(supervisor);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"fail", test_a_call_fails_and_is_in_the_trace}, {"short", test_a_write_is_cut},
      {"close", test_a_close_that_fails_has_closed},   {"delay", test_a_delay_delays},
      {"release", test_a_close_ends_delays},           {"owner", test_calls_go_on_when_the_owner_is_gone},
      {"children", test_children_go_on_through_exec},  {"one", test_one_filter_a_thread},
      {"list", test_lists_forget_those_that_ended},    {"late", test_a_late_end_is_waited_for},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
