/* The interpreter's allocators, made to fail: the hooks, how they are put on and taken off. */
#include "allocators.h"

/* Allocators belong to the process, not to an interpreter, and a thread without the GIL may be inside a hook while it
   is taken off: this state can live nowhere but here. `held` and `previous` belong to who has set `busy`. */
static atomic_bool busy;
static unsigned held; /* domains whose hooks were put on and could not be taken off yet */
static PyMemAllocatorEx previous[FK_DOMAINS];
static struct fk_allocations counted;

static _Thread_local bool exempted;
static _Thread_local unsigned passed; /* how often this thread came through a hook */

static bool refused(enum fk_domain domain, enum fk_operation operation, size_t size) {
  passed++;
  return !exempted && fk_allocation_fails(&counted, domain, operation, size);
}

/* A hook hands its context on: it is the one of what it stands before. So it does not matter that the interpreter
   reads function and context of the raw domain one after the other, while a hook is put on or taken off. */
#define HOOKS(name, domain)                                                                                            \
  static void *name##_malloc(void *context, size_t size) {                                                             \
    return refused(domain, FK_MALLOC, size) ? NULL : previous[domain].malloc(context, size);                           \
  }                                                                                                                    \
  static void *name##_calloc(void *context, size_t count, size_t size) {                                               \
    size_t whole = size != 0 && count > SIZE_MAX / size ? SIZE_MAX : count * size;                                     \
    return refused(domain, FK_CALLOC, whole) ? NULL : previous[domain].calloc(context, count, size);                   \
  }                                                                                                                    \
  static void *name##_realloc(void *context, void *memory, size_t size) {                                              \
    return refused(domain, FK_REALLOC, size) ? NULL : previous[domain].realloc(context, memory, size);                 \
  }                                                                                                                    \
  static void name##_free(void *context, void *memory) { previous[domain].free(context, memory); }

HOOKS(raw, FK_RAW)
HOOKS(mem, FK_MEM)
HOOKS(object, FK_OBJECT)

static const PyMemAllocatorEx ours[FK_DOMAINS] = {
    [FK_RAW] = {NULL, raw_malloc, raw_calloc, raw_realloc, raw_free},
    [FK_MEM] = {NULL, mem_malloc, mem_calloc, mem_realloc, mem_free},
    [FK_OBJECT] = {NULL, object_malloc, object_calloc, object_realloc, object_free},
};

static const PyMemAllocatorDomain domain_of[FK_DOMAINS] = {
    [FK_RAW] = PYMEM_DOMAIN_RAW,
    [FK_MEM] = PYMEM_DOMAIN_MEM,
    [FK_OBJECT] = PYMEM_DOMAIN_OBJ,
};

static void put_on(enum fk_domain domain) {
  PyMemAllocatorEx hook = ours[domain];
  PyMem_GetAllocator(domain_of[domain], &previous[domain]);
  hook.ctx = previous[domain].ctx;
  PyMem_SetAllocator(domain_of[domain], &hook);
}

/* Whether the interpreter still comes through the hook, be it by way of somebody else's. */
static bool is_reached(enum fk_domain domain) {
  unsigned before = passed;
  switch (domain) {
  case FK_RAW:
    PyMem_RawFree(PyMem_RawMalloc(1));
    break;
  case FK_MEM:
    PyMem_Free(PyMem_Malloc(1));
    break;
  default:
    PyObject_Free(PyObject_Malloc(1));
  }
  return passed != before;
}

/* Take our hooks off where nothing was put on top of them. Returns the domains where others have meddled. */
static unsigned take_off(void) {
  unsigned changed = 0;
  for (int domain = 0; domain < FK_DOMAINS; domain++) {
    PyMemAllocatorEx now;
    if (!(held & 1u << domain)) {
      continue;
    }
    PyMem_GetAllocator(domain_of[domain], &now);
    if (now.malloc == ours[domain].malloc) {
      PyMem_SetAllocator(domain_of[domain], &previous[domain]);
      held &= ~(1u << domain);
      continue;
    }
    changed |= 1u << domain;
    if (!is_reached(domain)) { /* somebody has taken them off for us */
      held &= ~(1u << domain);
    }
  }
  return changed;
}

int fk_allocators_hook(unsigned domains, uint64_t first, uint64_t count, const unsigned long *thread) {
  if (atomic_exchange(&busy, true)) {
    PyErr_SetString(PyExc_RuntimeError, "allocation faults are in use already: they belong to the process, and there "
                                        "can be one at a time");
    return -1;
  }
  (void)take_off();
  if (held != 0) {
    atomic_store(&busy, false);
    PyErr_SetString(PyExc_RuntimeError, "the hooks of earlier allocation faults are still there, below those of "
                                        "somebody else, such as tracemalloc, who has to take theirs off first");
    return -1;
  }
  for (int domain = 0; domain < FK_DOMAINS; domain++) {
    if (domains & 1u << domain) {
      put_on(domain);
    }
  }
  held = domains;
  fk_allocations_begin(&counted, first, count, thread);
  return 0;
}

int fk_allocators_unhook(void) {
  fk_allocations_end(&counted);
  unsigned changed = take_off();
  atomic_store(&busy, false);
  if (changed != 0) {
    PyErr_SetString(PyExc_RuntimeError, "somebody else, such as tracemalloc, has changed the interpreter's allocators "
                                        "while allocation faults were in use; what was counted is not to be trusted");
    return -1;
  }
  return 0;
}

struct fk_allocations *fk_allocators_counted(void) {
  return &counted;
}

bool fk_allocators_exempt(bool exempt) {
  bool before = exempted;
  exempted = exempt;
  return before;
}
