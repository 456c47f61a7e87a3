/* The type Injector: rules, the supervisor that follows them, and the trace, for Python. */
#include "module.h"

#include "thread.h"

#include <stdlib.h>
#include <unistd.h>

/* How long run() waits for the supervisor to see that nobody is left; children may stay. */
#define PATIENCE (FK_SECOND / 4)

typedef struct {
  PyObject_HEAD struct fk_supervisor *supervisor;
  PyObject *rules; /* tuple of dicts */
  bool installed;
} InjectorObject;

static PyStructSequence_Field call_fields[] = {
    {"number", "of the call in the trace, from 1"},
    {"time", "when it was made, in seconds of time.monotonic()"},
    {"call", "name of the system call"},
    {"where", "whose it is: 'thread', 'threads' or 'children'"},
    {"task", "native id of the thread that made it"},
    {"descriptor", "that it works on, None if on none"},
    {"kind", "what the descriptor is open on ('closed': nothing), None if there is none"},
    {"size", "of the transfer in bytes, None if it is none or that cannot be told"},
    {"nth", "how many of the same call, where and kind it makes, from 1"},
    {"rule", "number of the rule that was chosen, from 1; None if none was"},
    {"action", "what was done: 'allow', also if the rule could not be followed, 'fail', 'short' or 'delay'"},
    {"result", "fail: name of the error; short: bytes moved, or name of the error met; delay: seconds; else None"},
    {NULL, NULL},
};

static PyStructSequence_Desc call_description = {
    .name = "loopproof.faultkit.Call",
    .doc = "A system call that the injector saw, and what it did.",
    .fields = call_fields,
    .n_in_sequence = 12,
};

static struct fk_module *module_of(InjectorObject *self) { return PyType_GetModuleState(Py_TYPE(self)); }

static PyObject *injector_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"rules", "seed", NULL};
  PyObject *given;
  PyObject *seed_value = NULL;
  unsigned long long seed = 0;
  struct fk_rule *rules = NULL;
  size_t count = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$O!:Injector", names, &given, &PyLong_Type, &seed_value)) {
    return NULL;
  }
  if (seed_value != NULL) {
    seed = PyLong_AsUnsignedLongLong(seed_value);
    if (PyErr_Occurred() != NULL) {
      PyErr_Format(PyExc_ValueError, "seed must be from 0 to 2**64 - 1, not %R", seed_value);
      return NULL;
    }
  }
  InjectorObject *self = (InjectorObject *)type->tp_alloc(type, 0);
  if (self == NULL) {
    return NULL;
  }
  self->rules = fk_parse_rules(given, &rules, &count);
  if (self->rules == NULL) {
    Py_DECREF(self);
    return NULL;
  }
  self->supervisor = fk_supervisor_new(rules, count, seed);
  if (self->supervisor == NULL) {
    PyErr_SetFromErrno(PyExc_OSError);
    Py_DECREF(self);
    return NULL;
  }
  return (PyObject *)self;
}

static int injector_traverse(InjectorObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(self->rules);
  return 0;
}

/* The supervisor goes on, letting everything through, as long as anything is under the filter. */
static void injector_dealloc(InjectorObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (self->supervisor != NULL) {
    fk_supervisor_close(self->supervisor);
    fk_supervisor_release(self->supervisor);
  }
  Py_XDECREF(self->rules);
  type->tp_free(self);
  Py_DECREF(type);
}

static PyObject *on_fork_in_child(PyObject *module, PyObject *unused) {
  (void)unused;
  struct fk_module *state = PyModule_GetState(module);
  fk_supervisors_forked(&state->supervisors);
  Py_RETURN_NONE;
}

/* See to it that forked children close the listeners that they inherit. Returns 0, or -1 with an exception set. */
static int watch_forks(PyTypeObject *type, struct fk_module *state) {
  static PyMethodDef method = {"on_fork_in_child", on_fork_in_child, METH_NOARGS, NULL};
  if (state->watches_forks) {
    return 0;
  }
  PyObject *os = PyImport_ImportModule("os");
  PyObject *function = os == NULL ? NULL : PyCFunction_New(&method, PyType_GetModule(type));
  PyObject *hook = function == NULL ? NULL : PyObject_GetAttrString(os, "register_at_fork");
  PyObject *none = PyTuple_New(0);
  PyObject *keywords = hook == NULL ? NULL : Py_BuildValue("{sO}", "after_in_child", function);
  PyObject *done = none == NULL || keywords == NULL ? NULL : PyObject_Call(hook, none, keywords);
  state->watches_forks = done != NULL;
  Py_XDECREF(done);
  Py_XDECREF(keywords);
  Py_XDECREF(none);
  Py_XDECREF(hook);
  Py_XDECREF(function);
  Py_XDECREF(os);
  return state->watches_forks ? 0 : -1;
}

static PyObject *injector_install(InjectorObject *self, PyObject *unused) {
  (void)unused;
  struct fk_module *state = module_of(self);
  if (self->supervisor->process != getpid()) {
    PyErr_SetString(PyExc_RuntimeError, "the injector was made in the parent of this process");
    return NULL;
  }
  if (self->installed) {
    PyErr_SetString(PyExc_RuntimeError, "an injector is installed only once: make another (in another thread)");
    return NULL;
  }
  if (watch_forks(Py_TYPE(self), state) < 0) {
    return NULL;
  }
  self->installed = true;
  int error = fk_supervisor_bind(self->supervisor);
  if (error != 0) {
    self->installed = false;
    PyObject *reason = fk_refusal(error);
    PyObject *arguments = reason == NULL ? NULL : Py_BuildValue("(iO)", error, reason);
    if (arguments != NULL) {
      PyErr_SetObject(PyExc_OSError, arguments);
    }
    Py_XDECREF(arguments);
    Py_XDECREF(reason);
    return NULL;
  }
  fk_supervisor_enlist(&state->supervisors, self->supervisor);
  Py_RETURN_NONE;
}

static PyObject *injector_close(InjectorObject *self, PyObject *unused) {
  (void)unused;
  fk_supervisor_close(self->supervisor);
  Py_RETURN_NONE;
}

static PyObject *injector_enter(InjectorObject *self, PyObject *unused) {
  PyObject *done = injector_install(self, unused);
  if (done == NULL) {
    return NULL;
  }
  Py_DECREF(done);
  return Py_NewRef(self);
}

static PyObject *injector_exit(InjectorObject *self, PyObject *args) {
  (void)args;
  return injector_close(self, NULL);
}

/* What the thread of run() does. `errand`: the injector, the callable, its arguments, and a list that it appends its
 * result to, or the exception and something else. */
static PyObject *run_errand(PyObject *errand, PyObject *unused) {
  (void)unused;
  PyObject *self = PyTuple_GET_ITEM(errand, 0);
  PyObject *outcome = PyTuple_GET_ITEM(errand, 4);
  PyObject *installed = injector_install((InjectorObject *)self, NULL);
  PyObject *result = installed == NULL ? NULL
                                       : PyObject_Call(PyTuple_GET_ITEM(errand, 1), PyTuple_GET_ITEM(errand, 2),
                                                       PyTuple_GET_ITEM(errand, 3));
  Py_XDECREF(installed);
  fk_supervisor_close(((InjectorObject *)self)->supervisor);
  if (result != NULL) {
    int appended = PyList_Append(outcome, result);
    Py_DECREF(result);
    return appended < 0 ? NULL : Py_NewRef(Py_None);
  }
  PyObject *type;
  PyObject *value;
  PyObject *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace != NULL) {
    (void)PyException_SetTraceback(value, trace);
  }
  bool appended = PyList_Append(outcome, value) == 0 && PyList_Append(outcome, Py_None) == 0;
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  return appended ? Py_NewRef(Py_None) : NULL;
}

/* Start a threading.Thread on a function and wait for it. Returns 0, or -1 with an exception set. */
static int run_in_thread(PyObject *function) {
  PyObject *threading = PyImport_ImportModule("threading");
  PyObject *type = threading == NULL ? NULL : PyObject_GetAttrString(threading, "Thread");
  PyObject *none = PyTuple_New(0);
  PyObject *keywords =
      type == NULL ? NULL
                   : Py_BuildValue("{sOsssO}", "target", function, "name", "loopproof-injected", "daemon", Py_True);
  PyObject *thread = none == NULL || keywords == NULL ? NULL : PyObject_Call(type, none, keywords);
  PyObject *started = thread == NULL ? NULL : PyObject_CallMethod(thread, "start", NULL);
  PyObject *joined = started == NULL ? NULL : PyObject_CallMethod(thread, "join", NULL);
  int outcome = joined == NULL ? -1 : 0;
  Py_XDECREF(joined);
  Py_XDECREF(started);
  Py_XDECREF(thread);
  Py_XDECREF(keywords);
  Py_XDECREF(none);
  Py_XDECREF(type);
  Py_XDECREF(threading);
  return outcome;
}

static PyObject *injector_run(InjectorObject *self, PyObject *args, PyObject *kwargs) {
  static PyMethodDef method = {"run_errand", run_errand, METH_NOARGS, NULL};
  PyObject *result = NULL;
  if (PyTuple_GET_SIZE(args) == 0 || !PyCallable_Check(PyTuple_GET_ITEM(args, 0))) {
    PyErr_SetString(PyExc_TypeError, "run() wants a function, and its arguments");
    return NULL;
  }
  PyObject *outcome = PyList_New(0);
  PyObject *rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
  PyObject *keywords = kwargs == NULL ? PyDict_New() : Py_NewRef(kwargs);
  PyObject *errand = outcome == NULL || rest == NULL || keywords == NULL
                         ? NULL
                         : PyTuple_Pack(5, self, PyTuple_GET_ITEM(args, 0), rest, keywords, outcome);
  PyObject *function = errand == NULL ? NULL : PyCFunction_New(&method, errand);
  if (function != NULL && run_in_thread(function) == 0) {
    Py_BEGIN_ALLOW_THREADS;
    fk_thread_await_disappearance(self->supervisor->process, self->supervisor->task);
    (void)fk_supervisor_wait(self->supervisor, fk_now() + PATIENCE);
    Py_END_ALLOW_THREADS;
    if (PyList_GET_SIZE(outcome) == 1) {
      result = Py_NewRef(PyList_GET_ITEM(outcome, 0));
    } else if (PyList_GET_SIZE(outcome) == 2) {
      PyObject *error = PyList_GET_ITEM(outcome, 0);
      PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    } else {
      PyErr_NoMemory();
    }
  }
  Py_XDECREF(function);
  Py_XDECREF(errand);
  Py_XDECREF(keywords);
  Py_XDECREF(rest);
  Py_XDECREF(outcome);
  return result;
}

static PyObject *seconds_of(int64_t time) { return PyFloat_FromDouble((double)time / (double)FK_SECOND); }

static PyObject *number_unless(bool none, uint64_t number) {
  return none ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(number);
}

static PyObject *result_of(const struct fk_event *event) {
  switch ((enum fk_action)event->action) {
  case FK_ACTION_fail:
    return fk_error_name((int)event->outcome);
  case FK_ACTION_short:
    return event->outcome < 0 ? fk_error_name((int)-event->outcome) : PyLong_FromLongLong(event->outcome);
  case FK_ACTION_delay:
    return seconds_of(event->outcome);
  default:
    return Py_NewRef(Py_None);
  }
}

static PyObject *make_call(PyTypeObject *type, size_t index, const struct fk_event *event) {
  bool on_none = event->target == FK_TARGET_none;
  PyObject *values[] = {
      PyLong_FromSize_t(index + 1),
      seconds_of(event->time),
      PyUnicode_FromString(fk_calls[event->call].name),
      PyUnicode_FromString(fk_where_name((enum fk_where)event->where)),
      PyLong_FromLong(event->task),
      on_none ? Py_NewRef(Py_None) : PyLong_FromLong(event->descriptor),
      on_none ? Py_NewRef(Py_None) : PyUnicode_FromString(fk_target_name((enum fk_target)event->target)),
      number_unless(event->size == 0, event->size),
      PyLong_FromUnsignedLongLong(event->nth),
      number_unless(event->rule == FK_NO_RULE, (uint64_t)event->rule + 1),
      PyUnicode_FromString(fk_action_name((enum fk_action)event->action)),
      result_of(event),
  };
  return fk_struct_of(type, values, sizeof values / sizeof *values);
}

static PyObject *injector_trace(InjectorObject *self, void *closure) {
  (void)closure;
  PyTypeObject *type = module_of(self)->call_type;
  const struct fk_trace *trace = &self->supervisor->trace;
  size_t count = atomic_load(&trace->count);
  PyObject *calls = PyTuple_New((Py_ssize_t)count);
  for (size_t i = 0; calls != NULL && i < count; i++) {
    PyObject *call = make_call(type, i, &trace->events[i]);
    if (call == NULL) {
      Py_CLEAR(calls);
    } else {
      PyTuple_SET_ITEM(calls, (Py_ssize_t)i, call);
    }
  }
  return calls;
}

static PyObject *injector_replay(InjectorObject *self, PyObject *unused) {
  (void)unused;
  PyObject *trace = injector_trace(self, NULL);
  PyObject *rules = trace == NULL ? NULL : fk_rules_from(NULL, trace);
  PyObject *again = rules == NULL ? NULL : PyObject_CallOneArg((PyObject *)Py_TYPE(self), rules);
  Py_XDECREF(rules);
  Py_XDECREF(trace);
  return again;
}

/* A tuple with a number for each rule. */
static PyObject *numbers_of_rules(InjectorObject *self, bool chosen) {
  const struct fk_supervisor *supervisor = self->supervisor;
  PyObject *numbers = PyTuple_New((Py_ssize_t)supervisor->count);
  for (size_t i = 0; numbers != NULL && i < supervisor->count; i++) {
    struct fk_rule *rule = &supervisor->rules[i];
    PyObject *number = PyLong_FromUnsignedLongLong(atomic_load(chosen ? &rule->chosen : &rule->seen));
    if (number == NULL) {
      Py_CLEAR(numbers);
    } else {
      PyTuple_SET_ITEM(numbers, (Py_ssize_t)i, number);
    }
  }
  return numbers;
}

static PyObject *injector_seen(InjectorObject *self, void *closure) {
  (void)closure;
  return numbers_of_rules(self, false);
}

static PyObject *injector_chosen(InjectorObject *self, void *closure) {
  (void)closure;
  return numbers_of_rules(self, true);
}

static PyObject *injector_rules(InjectorObject *self, void *closure) {
  (void)closure;
  return Py_NewRef(self->rules);
}

static PyObject *injector_seed(InjectorObject *self, void *closure) {
  (void)closure;
  return PyLong_FromUnsignedLongLong(self->supervisor->seed);
}

static PyObject *injector_lost(InjectorObject *self, void *closure) {
  (void)closure;
  return PyLong_FromSize_t(atomic_load(&self->supervisor->trace.lost));
}

static PyObject *injector_repr(InjectorObject *self) {
  struct fk_supervisor *supervisor = self->supervisor;
  const char *state = !self->installed                    ? "not installed"
                      : supervisor->process != getpid()   ? "of another process"
                      : !atomic_load(&supervisor->open)   ? "closed"
                      : fk_supervisor_wait(supervisor, 0) ? "ended"
                                                          : "open";
  return PyUnicode_FromFormat("<Injector %s, %zu rules, %zu calls seen>", state, supervisor->count,
                              atomic_load(&supervisor->trace.count));
}

PyDoc_STRVAR(
    injector_doc,
    "Injector(rules, *, seed=0)\n--\n\n"
    "Decide about system calls of a thread, its threads and children, by rules: see fail(), short(), delay(), "
    "allow().\n\n"
    "The first rule that fits and whose turn it is decides; calls that no rule names run at full speed. A filter\n"
    "(seccomp user notification) binds to the thread that installs the injector, for good, and to the threads and\n"
    "children that it starts; another thread of this process answers. So an injected case runs in a thread of its\n"
    "own, see run(), or a process. A thread can be bound once, and peers are started before or elsewhere.\n\n"
    "Everything that the thread does is seen, the interpreter's own calls too: imports open and read files, hash\n"
    "seeds and random modules call getrandom. `kind` and `nth` tell them from those of the loop; import before.\n\n"
    "What is bound needs this process: a child that outlives it, and a program that it turns into by exec, has its\n"
    "matched calls fail with ENOSYS. The thread can gain no privileges by exec any more (setuid programs).\n\n"
    "Raises ValueError or TypeError that names the rule and its field, and OSError.");
PyDoc_STRVAR(install_doc,
             "install($self, /)\n--\n\n"
             "Bind to the calling thread. Entering the injector as a context does it, too.\n\n"
             "Raises OSError with the reason if the kernel refuses (see available()), RuntimeError the second time.");
PyDoc_STRVAR(close_doc,
             "close($self, /)\n--\n\n"
             "Let every call through from now on, delayed ones within 10 ms. Leaving the context does it, too.");
PyDoc_STRVAR(
    run_doc,
    "run($self, function, /, *args, **kwargs)\n--\n\n"
    "Call a function in a new thread that the injector is installed in, then close; return or raise what it does.\n\n"
    "An exception that interrupts the waiting, as KeyboardInterrupt does, leaves the thread behind.");
PyDoc_STRVAR(replay_doc, "replay($self, /)\n--\n\n"
                         "Return a new injector that does what this one did: Injector(rules_from(trace)).\n\n"
                         "Raises ValueError if this one did nothing.");

#define METHOD(function) (PyCFunction)(void (*)(void)) function

static PyMethodDef injector_methods[] = {
    {"install", METHOD(injector_install), METH_NOARGS, install_doc},
    {"close", METHOD(injector_close), METH_NOARGS, close_doc},
    {"run", METHOD(injector_run), METH_VARARGS | METH_KEYWORDS, run_doc},
    {"replay", METHOD(injector_replay), METH_NOARGS, replay_doc},
    {"__enter__", METHOD(injector_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(injector_exit), METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#define GETTER(function) (getter)(void (*)(void)) function

static PyGetSetDef injector_attributes[] = {
    {"rules", GETTER(injector_rules), NULL, "the rules, a tuple of dicts", NULL},
    {"seed", GETTER(injector_seed), NULL, "what probabilities are drawn from", NULL},
    {"seen", GETTER(injector_seen), NULL, "for each rule, how many calls it fitted", NULL},
    {"chosen", GETTER(injector_chosen), NULL, "for each rule, how many calls it was applied to", NULL},
    {"trace", GETTER(injector_trace), NULL, "a Call for each call that was seen, in order: a tuple", NULL},
    {"lost", GETTER(injector_lost), NULL, "how many calls came after the trace was full (it takes 2**20)", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot injector_slots[] = {
    {Py_tp_doc, (void *)injector_doc},         {Py_tp_new, (void *)injector_new},
    {Py_tp_dealloc, (void *)injector_dealloc}, {Py_tp_traverse, (void *)injector_traverse},
    {Py_tp_repr, (void *)injector_repr},       {Py_tp_methods, injector_methods},
    {Py_tp_getset, injector_attributes},       {0, NULL},
};

static PyType_Spec injector_spec = {
    .name = "loopproof.faultkit.Injector",
    .basicsize = sizeof(InjectorObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = injector_slots,
};

int fk_add_injector_type(PyObject *module, struct fk_module *state) {
  state->injector_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &injector_spec, NULL);
  if (state->injector_type == NULL || PyModule_AddType(module, state->injector_type) < 0) {
    return -1;
  }
  state->call_type = PyStructSequence_NewType(&call_description);
  return state->call_type == NULL ? -1 : PyModule_AddObjectRef(module, "Call", (PyObject *)state->call_type);
}
