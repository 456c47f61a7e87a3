/* The type AllocationFaults: chosen allocations of the interpreter fail while its block runs. */
#include "allocators.h"

#include <pthread.h>
#include <string.h>

#define EVERY_DOMAIN ((1u << FK_DOMAINS) - 1)

typedef struct {
  PyObject_HEAD unsigned domains;
  uint64_t first; /* 0: none fails */
  uint64_t count;
  unsigned long thread; /* if `of_thread` is set */
  bool of_thread;
  bool every_thread;
  bool hooked; /* the block runs: what is counted is the allocators' */
  uint64_t seen;
  uint64_t failed;
  PyObject *trace; /* tuple, of the last block; NULL before */
} FaultsObject;

static PyStructSequence_Field failure_fields[] = {
    {"number", "which allocation of those that count, from 1"},
    {"domain", "'raw', 'mem' or 'object'"},
    {"operation", "'malloc', 'calloc' or 'realloc'"},
    {"size", "bytes that were wanted"},
    {"thread", "the thread, as threading.get_ident() names it"},
    {NULL, NULL},
};

static PyStructSequence_Desc failure_description = {
    .name = "loopproof.faultkit.FailedAllocation",
    .doc = "An allocation that was made to fail.",
    .fields = failure_fields,
    .n_in_sequence = 5,
};

static const char *const domain_names[FK_DOMAINS] = {[FK_RAW] = "raw", [FK_MEM] = "mem", [FK_OBJECT] = "object"};

static const char *const operation_names[] = {[FK_MALLOC] = "malloc", [FK_CALLOC] = "calloc", [FK_REALLOC] = "realloc"};

static struct fk_module *state_of(FaultsObject *self) { return PyType_GetModuleState(Py_TYPE(self)); }

/* A number from 1 up. Returns 0, or -1 with an exception set. */
static int positive(PyObject *object, const char *name, uint64_t *result) {
  if (!PyLong_Check(object)) {
    PyErr_Format(PyExc_TypeError, "%s must be an int, not %R", name, object);
    return -1;
  }
  long long value = PyLong_AsLongLong(object);
  if (value < 1) { /* or too large, and an exception is set */
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "%s must be from 1 to 2**63 - 1, not %R", name, object);
    return -1;
  }
  *result = (uint64_t)value;
  return 0;
}

static int set_domains(FaultsObject *self, const char *name) {
  if (strcmp(name, "any") == 0) {
    self->domains = EVERY_DOMAIN;
    return 0;
  }
  for (unsigned domain = 0; domain < FK_DOMAINS; domain++) {
    if (strcmp(name, domain_names[domain]) == 0) {
      self->domains = 1u << domain;
      return 0;
    }
  }
  PyErr_Format(PyExc_ValueError, "domain must be 'raw', 'mem', 'object' or 'any', not '%.100s'", name);
  return -1;
}

static int set_thread(FaultsObject *self, PyObject *thread) {
  if (thread == Py_None) {
    return 0;
  }
  if (PyUnicode_Check(thread) && PyUnicode_CompareWithASCIIString(thread, "any") == 0) {
    self->every_thread = true;
    return 0;
  }
  self->of_thread = true;
  self->thread = PyLong_Check(thread) ? PyLong_AsUnsignedLong(thread) : 0;
  if (!PyLong_Check(thread) || (self->thread == (unsigned long)-1 && PyErr_Occurred() != NULL)) {
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "thread must be a result of threading.get_ident(), 'any' or None, not %R", thread);
    return -1;
  }
  return 0;
}

static PyObject *faults_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"first", "count", "domain", "thread", NULL};
  PyObject *first = Py_None;
  PyObject *count = NULL;
  const char *domain = "object";
  PyObject *thread = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOsO:AllocationFaults", names, &first, &count, &domain, &thread)) {
    return NULL;
  }
  FaultsObject *self = (FaultsObject *)type->tp_alloc(type, 0);
  if (self == NULL) {
    return NULL;
  }
  self->count = 1;
  if ((first != Py_None && positive(first, "first", &self->first) < 0) ||
      (count != NULL && positive(count, "count", &self->count) < 0) || set_domains(self, domain) < 0 ||
      set_thread(self, thread) < 0) {
    Py_DECREF(self);
    return NULL;
  }
  return (PyObject *)self;
}

/* A new tuple of what is noted at the moment; NULL with an exception set. */
static PyObject *trace_of(FaultsObject *self) {
  struct fk_allocations *counted = fk_allocators_counted();
  PyObject *list = PyList_New(0);
  for (size_t i = 0; list != NULL && i < fk_allocations_noted(counted); i++) {
    struct fk_failure *failure = &counted->failures[i];
    uint64_t index = atomic_load_explicit(&failure->index, memory_order_acquire);
    if (index == 0) {
      continue; /* a thread is just writing it */
    }
    PyObject *const values[] = {
        PyLong_FromUnsignedLongLong(index),
        PyUnicode_FromString(domain_names[failure->domain]),
        PyUnicode_FromString(operation_names[failure->operation]),
        PyLong_FromSize_t(failure->size),
        PyLong_FromUnsignedLong(failure->thread),
    };
    PyObject *entry = fk_struct_of(state_of(self)->failure_type, values, sizeof values / sizeof *values);
    if (entry == NULL || PyList_Append(list, entry) < 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(entry);
  }
  PyObject *trace = list == NULL ? NULL : PyList_AsTuple(list);
  Py_XDECREF(list);
  return trace;
}

static PyObject *faults_enter(FaultsObject *self, PyObject *unused) {
  unsigned long thread = self->of_thread ? self->thread : (unsigned long)pthread_self();
  (void)unused;
  if (fk_allocators_hook(self->domains, self->first, self->count, self->every_thread ? NULL : &thread) < 0) {
    return NULL;
  }
  self->hooked = true;
  return Py_NewRef(self);
}

/* End the block: take the hooks off and keep what was seen. Returns 0, or -1 with an exception set. */
static int finish(FaultsObject *self) {
  int outcome = fk_allocators_unhook();
  PyObject *trace = NULL;
  self->hooked = false;
  self->seen = atomic_load(&fk_allocators_counted()->seen);
  self->failed = atomic_load(&fk_allocators_counted()->failed);
  if (outcome == 0) {
    trace = trace_of(self);
    outcome = trace == NULL ? -1 : 0;
  }
  Py_XSETREF(self->trace, trace);
  return outcome;
}

/* Called with an array of arguments: to make a tuple of them could fail, and nothing would end the block. */
static PyObject *faults_exit(FaultsObject *self, PyObject *const *args, Py_ssize_t count) {
  (void)args;
  (void)count;
  if (!self->hooked) {
    PyErr_SetString(PyExc_RuntimeError, "these allocation faults are not in use");
    return NULL;
  }
  if (finish(self) < 0) {
    return NULL;
  }
  Py_RETURN_FALSE;
}

static void faults_dealloc(FaultsObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  if (self->hooked && fk_allocators_unhook() < 0) {
    PyErr_WriteUnraisable(NULL);
  }
  Py_XDECREF(self->trace);
  type->tp_free(self);
  Py_DECREF(type);
}

/* Asking does not count, and does not fail. */
static PyObject *number_of(FaultsObject *self, _Atomic uint64_t *live, uint64_t kept) {
  bool before = fk_allocators_exempt(true);
  PyObject *number = PyLong_FromUnsignedLongLong(self->hooked ? atomic_load(live) : kept);
  (void)fk_allocators_exempt(before);
  return number;
}

static PyObject *faults_seen(FaultsObject *self, void *closure) {
  (void)closure;
  return number_of(self, &fk_allocators_counted()->seen, self->seen);
}

static PyObject *faults_failed(FaultsObject *self, void *closure) {
  (void)closure;
  return number_of(self, &fk_allocators_counted()->failed, self->failed);
}

static PyObject *faults_trace(FaultsObject *self, void *closure) {
  (void)closure;
  if (!self->hooked) {
    return self->trace == NULL ? PyTuple_New(0) : Py_NewRef(self->trace);
  }
  bool before = fk_allocators_exempt(true);
  PyObject *trace = trace_of(self);
  (void)fk_allocators_exempt(before);
  return trace;
}

PyDoc_STRVAR(
    faults_doc,
    "AllocationFaults(*, first=None, count=1, domain='object', thread=None)\n--\n\n"
    "Context manager: allocations of the interpreter fail while its block runs.\n\n"
    "Allocations (malloc, calloc and realloc through the interpreter's allocators, see PyMem_SetAllocator) are\n"
    "counted from 1; number `first` and those after it, `count` in all, find no memory. `first` None only counts.\n"
    "`domain`: 'raw', 'mem', 'object', or 'any' for all three. What an allocator hands on to that of another domain,\n"
    "as the interpreter's do with more than 512 bytes, counts in both. `thread`: a result of threading.get_ident()\n"
    "for the only one that counts, None for the one that begins the block, 'any' for all.\n\n"
    "The same run fails at the same place again: count it with `first` None, then fail number 1, 2, ... up to\n"
    "`seen`, each in a process that is in the same state (a fresh one, or a fork). What the interpreter keeps for\n"
    "reuse, its lists of freed objects, is not allocated and does not count; nor does malloc() of C code itself.\n"
    "Keep `count` small: CPython may ask again and again, to leave a block with an exception say, until the window\n"
    "is over.\n\n"
    "The allocators belong to the process: one block at a time, whichever the thread or interpreter. Works with the\n"
    "debug hooks of PYTHONMALLOC, with subinterpreters, and without the GIL; there thread='any' counts exactly, but\n"
    "in the order in which the threads happen to come, which is not the same again.\n\n"
    "Raises ValueError or TypeError for arguments that make no sense; RuntimeError at the beginning of the block if\n"
    "another one is active, at its end if somebody else changed the allocators meanwhile, as tracemalloc.start().");

#define METHOD(function) (PyCFunction)(void (*)(void)) function
#define GETTER(function) (getter)(void (*)(void)) function

static PyMethodDef faults_methods[] = {
    {"__enter__", METHOD(faults_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(faults_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef faults_attributes[] = {
    {"seen", GETTER(faults_seen), NULL, "how many allocations counted, in this block or the last one", NULL},
    {"failed", GETTER(faults_failed), NULL, "how many of them were made to fail", NULL},
    {"trace", GETTER(faults_trace), NULL, "a FailedAllocation for each of them, the first 4096", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot faults_slots[] = {
    {Py_tp_doc, (void *)faults_doc}, {Py_tp_new, (void *)faults_new},   {Py_tp_dealloc, (void *)faults_dealloc},
    {Py_tp_methods, faults_methods}, {Py_tp_getset, faults_attributes}, {0, NULL},
};

static PyType_Spec faults_spec = {
    .name = "loopproof.faultkit.AllocationFaults",
    .basicsize = sizeof(FaultsObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = faults_slots,
};

int fk_add_allocation_faults(PyObject *module, struct fk_module *state) {
  PyObject *type = PyType_FromModuleAndSpec(module, &faults_spec, NULL);
  int outcome = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
  Py_XDECREF(type);
  state->failure_type = outcome < 0 ? NULL : PyStructSequence_NewType(&failure_description);
  return state->failure_type == NULL
             ? -1
             : PyModule_AddObjectRef(module, "FailedAllocation", (PyObject *)state->failure_type);
}
