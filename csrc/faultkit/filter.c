/* The seccomp filter: a classic BPF program that compares the number of the system call. */
#include "filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif

#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1UL << 2)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* Load the architecture, check it, load the number; for each call a comparison and an answer; let through. */
#define BEFORE 4
#define PROGRAM (BEFORE + 2 * FK_CALLS_LIMIT + 1)

static size_t assemble(const struct fk_call_set *calls, struct sock_filter program[PROGRAM]) {
  const unsigned load = BPF_LD | BPF_W | BPF_ABS;
  const unsigned compare = BPF_JMP | BPF_JEQ | BPF_K;
  const unsigned answer = BPF_RET | BPF_K;
  size_t size = 0;
  program[size++] = (struct sock_filter)BPF_STMT(load, offsetof(struct seccomp_data, arch));
  program[size++] = (struct sock_filter)BPF_JUMP(compare, ARCHITECTURE, 1, 0);
  program[size++] = (struct sock_filter)BPF_STMT(answer, SECCOMP_RET_ALLOW);
  program[size++] = (struct sock_filter)BPF_STMT(load, offsetof(struct seccomp_data, nr));
  for (size_t i = 0; i < fk_call_count; i++) {
    if (fk_call_set_has(calls, i) && fk_calls[i].number >= 0) {
      program[size++] = (struct sock_filter)BPF_JUMP(compare, (unsigned)fk_calls[i].number, 0, 1);
      program[size++] = (struct sock_filter)BPF_STMT(answer, SECCOMP_RET_USER_NOTIF);
    }
  }
  program[size++] = (struct sock_filter)BPF_STMT(answer, SECCOMP_RET_ALLOW);
  return size;
}

static int install(struct sock_fprog *program, unsigned long flags) {
  const unsigned long always = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, always | flags, program);
}

int fk_filter_install(const struct fk_call_set *calls, bool certain) {
  struct sock_filter instructions[PROGRAM];
  struct sock_fprog program = {.len = (unsigned short)assemble(calls, instructions), .filter = instructions};
  if (ARCHITECTURE == 0) {
    errno = ENOSYS;
    return -1;
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) { /* what the kernel wants of the unprivileged; this thread's alone */
    return -1;
  }
  int listener = install(&program, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
  if (listener < 0 && errno == EINVAL && certain) {
    errno = EOPNOTSUPP;
  } else if (listener < 0 && errno == EINVAL) { /* before Linux 5.19 */
    listener = install(&program, 0);
  }
  return listener;
}

struct probe {
  bool certain;
  int error;
};

static void *probe(void *argument) {
  struct probe *asked = argument;
  const struct fk_call_set none = {{0}};
  int listener = fk_filter_install(&none, asked->certain);
  asked->error = listener < 0 ? errno : 0;
  if (listener >= 0) {
    close(listener);
  }
  return NULL;
}

int fk_filter_probe(bool certain) {
  struct probe asked = {certain, 0};
  pthread_t thread;
  int failed = pthread_create(&thread, NULL, probe, &asked);
  if (failed != 0) {
    return failed;
  }
  pthread_join(thread, NULL);
  return asked.error;
}
