/* The handler of fatal signals. */
#include "crash.h"

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "guards.h"

#define MOST_FRAMES 64

static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
static const char *const names[] = {"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"};
#define FATAL_COUNT (sizeof fatal / sizeof fatal[0])

/* A signal handler has no argument of ours, and signals belong to the process, not to an interpreter: this state can
   live nowhere but here. Of callers in several interpreters, sigaction() tells one what was there before. */
static volatile sig_atomic_t target = -1;
static volatile sig_atomic_t reported[FATAL_COUNT];
static struct sigaction previous[FATAL_COUNT];

static void say(const char *text) {
  ssize_t written = write((int)target, text, strlen(text));
  (void)written; /* nothing more can be done */
}

#if defined(__aarch64__)
/* What the kernel knows of the fault is one of the records behind the registers: see asm/sigcontext.h. */
static enum fk_access kind_of_access(const ucontext_t *context) {
  const uint8_t *record = context->uc_mcontext.__reserved;
  const uint8_t *end = record + sizeof context->uc_mcontext.__reserved;
  struct esr_context syndrome;
  struct _aarch64_ctx head;
  while ((size_t)(end - record) >= sizeof head) {
    memcpy(&head, record, sizeof head);
    if (head.magic == ESR_MAGIC && (size_t)(end - record) >= sizeof syndrome) {
      memcpy(&syndrome, record, sizeof syndrome);
      uint64_t class = syndrome.esr >> 26 & 0x3f;
      return class == 0x24 || class == 0x25   ? (syndrome.esr & 1 << 6 ? FK_WRITE : FK_READ) /* data abort */
             : class == 0x20 || class == 0x21 ? FK_EXECUTE                                   /* instruction abort */
                                              : FK_UNKNOWN_ACCESS;
    }
    if (head.magic == 0 || head.size < sizeof head || head.size > (size_t)(end - record)) {
      break;
    }
    record += head.size;
  }
  return FK_UNKNOWN_ACCESS;
}
#elif defined(__x86_64__)
static enum fk_access kind_of_access(const ucontext_t *context) {
  long long code = context->uc_mcontext.gregs[REG_ERR]; /* of the page fault */
  return code & 1 << 4 ? FK_EXECUTE : code & 1 << 1 ? FK_WRITE : FK_READ;
}
#else
static enum fk_access kind_of_access(const ucontext_t *context) {
  (void)context;
  return FK_UNKNOWN_ACCESS;
}
#endif

static void say_if_guarded(const siginfo_t *info, const ucontext_t *context) {
  char text[FK_DESCRIPTION + 1];
  struct fk_guard guard;
  uintptr_t address = (uintptr_t)info->si_addr;
  if (info->si_code > 0 && fk_guards_find(address, &guard)) { /* a fault: not sent by somebody */
    size_t length = fk_guard_describe(&guard, address, kind_of_access(context), text);
    memcpy(text + length, "\n", 2);
    say(text);
  }
}

static size_t index_of(int number) {
  size_t i = 0;
  while (fatal[i] != number) {
    i++;
  }
  return i;
}

/* Only what is safe in a signal handler; backtrace() is, once it has been called before. */
static void on_fatal_signal(int number, siginfo_t *info, void *context) {
  static const struct sigaction deadly = {.sa_handler = SIG_DFL};
  void *frames[MOST_FRAMES];
  int saved = errno;
  size_t i = index_of(number);
  /* Whose turn comes when the signal is raised again. A handler that was installed between two calls of ours hands the
     signal back to us: then it has been everywhere. */
  (void)sigaction(number, reported[i] ? &deadly : &previous[i], NULL);
  if (!reported[i]) {
    reported[i] = 1;
    if (number == SIGSEGV || number == SIGBUS) {
      say_if_guarded(info, context);
    }
    say("C backtrace (");
    say(names[i]);
    say("):\n");
    backtrace_symbols_fd(frames, backtrace(frames, MOST_FRAMES), (int)target);
  }
  errno = saved;
  (void)raise(number); /* blocked until we return, and then handled by whoever was there before us */
}

static int install(void) {
  struct sigaction ours = {.sa_sigaction = on_fatal_signal, .sa_flags = SA_ONSTACK | SA_SIGINFO};
  struct sigaction before;
  sigemptyset(&ours.sa_mask);
  for (size_t i = 0; i < FATAL_COUNT; i++) {
    if (sigaction(fatal[i], &ours, &before) < 0) {
      return errno;
    }
    if (before.sa_sigaction != on_fatal_signal) {
      previous[i] = before;
    }
  }
  return 0;
}

int fk_crash_report_to(int descriptor) {
  void *frames[1];
  (void)backtrace(frames, 1); /* loads the unwinder, which no signal handler may */
  target = descriptor;
  return install();
}

int fk_crash_keep_reporting(void) {
  struct sigaction now;
  if (target < 0) {
    return fk_crash_report_to(STDERR_FILENO);
  }
  if (sigaction(SIGSEGV, NULL, &now) < 0) {
    return errno;
  }
  return now.sa_sigaction == on_fatal_signal ? 0 : install();
}
