/* Figures of the injector: what system calls cost with a filter on their thread and without, in turns in one run.
 *
 * usage: injector_figures    (prints the best of the rounds in nanoseconds a call, and the ratio) */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cases.h"
#include "supervisor.h"
#include "thread.h"

#define ROUNDS 41
#define BARE_CALLS 20000
#define MATCHED_CALLS 1000

static int zero;
static int ends[2];

static void call_unmatched(void) { (void)syscall(SYS_getppid); }

static void call_transfer(void) {
  static __thread char block[1024];
  CHECK(send(ends[0], block, sizeof block, 0) == sizeof block);
  CHECK(recv(ends[1], block, sizeof block, 0) == sizeof block);
}

static void call_random(void) {
  uint32_t number;
  CHECK(syscall(SYS_getrandom, &number, sizeof number, 0) == sizeof number);
}

static void call_read(void) {
  char byte;
  CHECK(read(zero, &byte, 1) == 1);
}

static const struct {
  const char *name;
  void (*call)(void);
  int times;
} measured[] = {
    {"getppid, no rule", call_unmatched, BARE_CALLS},
    {"send+recv 1 KiB, no rule", call_transfer, BARE_CALLS},
    {"getrandom, allowed", call_random, MATCHED_CALLS},
    {"read, allowed", call_read, MATCHED_CALLS},
};

#define MEASURED (sizeof measured / sizeof *measured)

/* Nanoseconds a call, of one thread. */
struct figures {
  bool filtered;
  double rounds[MEASURED][ROUNDS];
};

static pthread_barrier_t turn;

static void measure(struct figures *figures, int round) {
  for (size_t i = 0; i < MEASURED; i++) {
    int64_t began = fk_now();
    for (int call = 0; call < measured[i].times; call++)
      measured[i].call();
    figures->rounds[i][round] = (double)(fk_now() - began) / measured[i].times;
  }
}

/* The two threads run in turns, so that whatever else the machine does falls on both. */
static void *play(void *argument) {
  struct figures *figures = argument;
  if (figures->filtered) {
    struct fk_rule *rule = calloc(1, sizeof *rule);
    CHECK(rule != NULL && fk_call_set_add(&rule->calls, "getrandom") && fk_call_set_add(&rule->calls, "read"));
    rule->wheres = 1u << FK_WHERE_thread;
    rule->nth = 1;
    rule->count = UINT64_MAX;
    rule->probability = 1.0;
    struct fk_supervisor *supervisor = fk_supervisor_new(rule, 1, 0);
    CHECK(supervisor != NULL);
    int error = fk_supervisor_bind(supervisor);
    if (error != 0) {
      printf("the kernel refuses: %s\n", strerror(error));
      exit(1);
    }
  }
  for (int round = 0; round < ROUNDS; round++) {
    for (int whose = 0; whose < 2; whose++) {
      pthread_barrier_wait(&turn);
      if ((whose == 1) == figures->filtered)
        measure(figures, round);
    }
  }
  return NULL;
}

/* What else the machine does only ever adds. */
static double best(const double *values) {
  double least = values[0];
  for (int round = 1; round < ROUNDS; round++)
    least = values[round] < least ? values[round] : least;
  return least;
}

int main(void) {
  static struct figures figures[] = {{.filtered = false}, {.filtered = true}};
  pthread_t threads[2];
  zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  CHECK(zero >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && pthread_barrier_init(&turn, NULL, 2) == 0);
  for (int i = 0; i < 2; i++)
    CHECK(pthread_create(&threads[i], NULL, play, &figures[i]) == 0);
  for (int i = 0; i < 2; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
  for (size_t i = 0; i < MEASURED; i++) {
    double bare = best(figures[0].rounds[i]);
    double filtered = best(figures[1].rounds[i]);
    printf("%-24s %9.1f ns bare %9.1f ns with the injector  %7.2f times\n", measured[i].name, bare, filtered,
           filtered / bare);
  }
  return 0;
}
