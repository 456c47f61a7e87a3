/* The type Peer: a peer for Python, and the entries of its log. */
#include "module.h"

#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>
#include <unistd.h>

#define LONGEST 86400.0
#define SLICE (FK_SECOND / 20)
#define BACKLOG 128

typedef struct {
  PyObject_HEAD struct fk_peer *peer;
  PyObject *script;  /* tuple of dicts */
  PyObject *address; /* of the listening socket, or None */
  double deadline;
} PeerObject;

static PyStructSequence_Field entry_fields[] = {
    {"step", "number of the step in the script, from 1"},
    {"verb", "what the step does"},
    {"state", "'running', 'done', 'failed', 'late' (the deadline passed), or 'stopped'"},
    {"started", "when it began, in seconds of time.monotonic()"},
    {"ended", "when it ended, None while it runs"},
    {"bytes", "bytes sent or received; where the step verifies: found right"},
    {"detail", "why it failed, else empty"},
    {NULL, NULL},
};

static PyStructSequence_Desc entry_description = {
    .name = "loopproof.faultkit.Entry",
    .doc = "What happened in one step of a peer.",
    .fields = entry_fields,
    .n_in_sequence = 7,
};

static const char *name_of_state(enum fk_state state) {
  static const char *const names[] = {
      [FK_PENDING] = "pending", [FK_RUNNING] = "running", [FK_DONE] = "done",
      [FK_FAILED] = "failed",   [FK_LATE] = "late",       [FK_STOPPED] = "stopped",
  };
  return names[state];
}

static struct fk_module *module_of(PyTypeObject *type) { return PyType_GetModuleState(type); }

/* A deadline in seconds as a point of CLOCK_MONOTONIC; None is `otherwise`. Returns -1 with an exception set. */
static int64_t limit_of(PyObject *seconds, int64_t otherwise) {
  if (seconds == NULL || seconds == Py_None) {
    return otherwise;
  }
  double value = PyFloat_AsDouble(seconds);
  if (value == -1.0 && PyErr_Occurred() != NULL) {
    return -1;
  }
  if (!(value >= 0.0 && value <= LONGEST)) {
    PyErr_Format(PyExc_ValueError, "a time must be from 0 to %d seconds, not %R", (int)LONGEST, seconds);
    return -1;
  }
  return fk_now() + (int64_t)(value * (double)FK_SECOND);
}

/* Make the listening socket that `listen` names. Returns 0, or -1 with an exception set. */
static int make_listener(const char *listen, struct fk_endpoint *listener) {
  static const struct {
    const char *name;
    int family;
  } families[] = {{"tcp", AF_INET}, {"tcp6", AF_INET6}, {"unix", AF_UNIX}};
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    if (strcmp(families[i].name, listen) == 0) {
      if (fk_endpoint_listen(listener, families[i].family, BACKLOG) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
      }
      return 0;
    }
  }
  PyErr_Format(PyExc_ValueError, "listen must be 'tcp', 'tcp6' or 'unix', not '%.100s'", listen);
  return -1;
}

/* Duplicate the socket or descriptor that was given. Returns 0, or -1 with an exception set. */
static int adopt(PyObject *given, struct fk_endpoint *listener, struct fk_endpoint *connection) {
  struct fk_endpoint endpoint;
  int descriptor = PyObject_AsFileDescriptor(given);
  if (descriptor < 0) {
    return -1;
  }
  if (fk_endpoint_adopt(&endpoint, descriptor) < 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  *(endpoint.kind == FK_LISTENER ? listener : connection) = endpoint;
  return 0;
}

/* The address of a listening socket in the form that socket.getsockname() has; an abstract name as a str. */
static PyObject *address_of(const struct fk_endpoint *listener) {
  struct sockaddr_storage own;
  socklen_t size = sizeof own;
  char text[INET6_ADDRSTRLEN];
  if (listener->descriptor < 0) {
    Py_RETURN_NONE;
  }
  if (getsockname(listener->descriptor, (struct sockaddr *)&own, &size) < 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  if (own.ss_family == AF_UNIX) {
    const struct sockaddr_un *name = (const struct sockaddr_un *)&own;
    return PyUnicode_DecodeFSDefaultAndSize(name->sun_path,
                                            (Py_ssize_t)(size - offsetof(struct sockaddr_un, sun_path)));
  }
  if (own.ss_family == AF_INET) {
    const struct sockaddr_in *name = (const struct sockaddr_in *)&own;
    if (inet_ntop(AF_INET, &name->sin_addr, text, sizeof text) == NULL) {
      return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("(si)", text, (int)ntohs(name->sin_port));
  }
  const struct sockaddr_in6 *name = (const struct sockaddr_in6 *)&own;
  if (inet_ntop(AF_INET6, &name->sin6_addr, text, sizeof text) == NULL) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  return Py_BuildValue("(siII)", text, (int)ntohs(name->sin6_port), (unsigned)ntohl(name->sin6_flowinfo),
                       (unsigned)name->sin6_scope_id);
}

static PyObject *peer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"script", "connection", "listen", "deadline", NULL};
  PyObject *steps;
  PyObject *given = Py_None;
  PyObject *deadline_value = NULL;
  const char *listen = NULL;
  struct fk_script script = {NULL, 0};
  struct fk_endpoint listener = {-1, FK_NOTHING};
  struct fk_endpoint connection = {-1, FK_NOTHING};
  const char *reason;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O$zO:Peer", names, &steps, &given, &listen, &deadline_value)) {
    return NULL;
  }
  int64_t begun = fk_now();
  int64_t deadline = limit_of(deadline_value, begun + 10 * FK_SECOND);
  if (deadline < 0) {
    return NULL;
  }
  if (given != Py_None && listen != NULL) {
    PyErr_SetString(PyExc_ValueError, "a peer has a connection or listens, not both");
    return NULL;
  }
  PeerObject *self = (PeerObject *)type->tp_alloc(type, 0);
  if (self == NULL) {
    return NULL;
  }
  self->deadline = (double)(deadline - begun) / (double)FK_SECOND;
  self->script = fk_parse_script(steps, &script);
  if (self->script == NULL || (listen != NULL && make_listener(listen, &listener) < 0) ||
      (given != Py_None && adopt(given, &listener, &connection) < 0)) {
    goto failed;
  }
  size_t wrong = fk_script_check(&script, connection.kind != FK_NOTHING, listener.kind != FK_NOTHING, &reason);
  if (wrong < script.count) {
    PyErr_Format(PyExc_ValueError, "step %zu: %s: %s", wrong + 1, fk_verb_name(script.steps[wrong].verb), reason);
    goto failed;
  }
  self->address = address_of(&listener);
  if (self->address == NULL) {
    goto failed;
  }
  self->peer = fk_peer_start(&script, listener, connection, deadline);
  if (self->peer == NULL) {
    PyErr_SetFromErrno(PyExc_OSError);
    Py_DECREF(self);
    return NULL;
  }
  return (PyObject *)self;

failed:
  fk_script_clear(&script);
  fk_endpoint_close(&listener);
  fk_endpoint_close(&connection);
  Py_DECREF(self);
  return NULL;
}

static int peer_traverse(PeerObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(self->script);
  Py_VISIT(self->address);
  return 0;
}

/* The thread never needs the GIL and looks up at every chunk, so waiting for it here takes microseconds. */
static void peer_dealloc(PeerObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (self->peer != NULL) {
    fk_peer_destroy(self->peer);
  }
  Py_XDECREF(self->script);
  Py_XDECREF(self->address);
  type->tp_free(self);
  Py_DECREF(type);
}

static int check_process(const PeerObject *self) {
  if (self->peer->process != getpid()) {
    PyErr_SetString(PyExc_RuntimeError, "the peer runs in the parent of this process");
    return -1;
  }
  return 0;
}

/* Wait for so many steps or the end, without the GIL. Returns whether that came, or -1 with an exception set. */
static int wait_until(PeerObject *self, size_t steps, int64_t limit) {
  bool reached = false;
  do {
    if (PyErr_CheckSignals() < 0) {
      return -1;
    }
    int64_t slice = fk_now() + SLICE;
    Py_BEGIN_ALLOW_THREADS;
    reached = fk_peer_wait(self->peer, steps, slice < limit ? slice : limit);
    Py_END_ALLOW_THREADS;
  } while (!reached && fk_now() < limit);
  return reached;
}

static void join_thread(PeerObject *self) {
  Py_BEGIN_ALLOW_THREADS;
  fk_peer_join(self->peer);
  Py_END_ALLOW_THREADS;
}

static PyObject *peer_join(PeerObject *self, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"timeout", NULL};
  PyObject *timeout = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:join", names, &timeout) || check_process(self) < 0) {
    return NULL;
  }
  int64_t limit = limit_of(timeout, INT64_MAX);
  int reached = limit < 0 ? -1 : wait_until(self, SIZE_MAX, limit);
  if (reached < 0) {
    return NULL;
  }
  if (reached) {
    join_thread(self);
  }
  return PyBool_FromLong(reached);
}

static PyObject *peer_wait(PeerObject *self, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"steps", "timeout", NULL};
  Py_ssize_t steps;
  PyObject *timeout = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n|O:wait", names, &steps, &timeout) || check_process(self) < 0) {
    return NULL;
  }
  if (steps < 0 || (size_t)steps > self->peer->script.count) {
    PyErr_Format(PyExc_ValueError, "steps must be from 0 to %zu, not %zd", self->peer->script.count, steps);
    return NULL;
  }
  int64_t limit = limit_of(timeout, INT64_MAX);
  if (limit < 0 || wait_until(self, (size_t)steps, limit) < 0) {
    return NULL;
  }
  return PyBool_FromLong(fk_peer_completed(self->peer) >= (size_t)steps);
}

static PyObject *peer_stop(PeerObject *self, PyObject *unused) {
  (void)unused;
  if (check_process(self) < 0) {
    return NULL;
  }
  fk_peer_stop(self->peer);
  join_thread(self);
  Py_RETURN_NONE;
}

static PyObject *peer_release(PeerObject *self, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"count", NULL};
  Py_ssize_t count = 1;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|n:release", names, &count) || check_process(self) < 0) {
    return NULL;
  }
  if (count < 0) {
    PyErr_Format(PyExc_ValueError, "count must not be negative, not %zd", count);
    return NULL;
  }
  fk_peer_release(self->peer, (uint64_t)count);
  Py_RETURN_NONE;
}

static PyObject *seconds_of(int64_t time) {
  if (time == 0) {
    Py_RETURN_NONE;
  }
  return PyFloat_FromDouble((double)time / (double)FK_SECOND);
}

static PyObject *make_entry(PyTypeObject *type, size_t step, enum fk_verb verb, const struct fk_record *record) {
  PyObject *values[] = {
      PyLong_FromSize_t(step + 1),
      PyUnicode_FromString(fk_verb_name(verb)),
      PyUnicode_FromString(name_of_state(record->state)),
      seconds_of(record->started),
      seconds_of(record->ended),
      PyLong_FromUnsignedLongLong(record->bytes),
      PyUnicode_DecodeUTF8(record->detail, (Py_ssize_t)strlen(record->detail), "replace"),
  };
  PyObject *entry = PyStructSequence_New(type);
  bool complete = entry != NULL;
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    complete = complete && values[i] != NULL;
    if (entry != NULL && values[i] != NULL) {
      PyStructSequence_SetItem(entry, (Py_ssize_t)i, values[i]);
    } else {
      Py_XDECREF(values[i]);
    }
  }
  if (!complete) {
    Py_CLEAR(entry);
  }
  return entry;
}

static PyObject *peer_log(PeerObject *self, void *closure) {
  (void)closure;
  if (check_process(self) < 0) {
    return NULL;
  }
  PyTypeObject *type = module_of(Py_TYPE(self))->entry_type;
  PyObject *list = PyList_New(0);
  for (size_t step = 0; list != NULL && step < self->peer->script.count; step++) {
    struct fk_record record = fk_peer_record(self->peer, step);
    if (record.state == FK_PENDING) {
      break;
    }
    PyObject *entry = make_entry(type, step, self->peer->script.steps[step].verb, &record);
    if (entry == NULL || PyList_Append(list, entry) < 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(entry);
  }
  PyObject *log = list == NULL ? NULL : PyList_AsTuple(list);
  Py_XDECREF(list);
  return log;
}

static PyObject *peer_ended(PeerObject *self, void *closure) {
  (void)closure;
  if (check_process(self) < 0) {
    return NULL;
  }
  return PyBool_FromLong(fk_peer_wait(self->peer, SIZE_MAX, 0));
}

static PyObject *peer_completed(PeerObject *self, void *closure) {
  (void)closure;
  if (check_process(self) < 0) {
    return NULL;
  }
  return PyLong_FromSize_t(fk_peer_completed(self->peer));
}

static PyObject *peer_script(PeerObject *self, void *closure) {
  (void)closure;
  return Py_NewRef(self->script);
}

static PyObject *peer_address(PeerObject *self, void *closure) {
  (void)closure;
  return Py_NewRef(self->address);
}

/* One line of the log: "  +0.000123 s step 2, send(data=b'x'): done, 1 bytes". */
static PyObject *line_of(PeerObject *self, size_t step, const struct fk_record *record, int64_t origin) {
  PyObject *line = NULL;
  PyObject *what = fk_describe_step(PyTuple_GET_ITEM(self->script, (Py_ssize_t)step));
  if (what != NULL) {
    int64_t since = (record->started - origin) / 1000;
    line = PyUnicode_FromFormat("  +%lld us  step %zu, %U: %s, %llu bytes", (long long)since, step + 1, what,
                                name_of_state(record->state), (unsigned long long)record->bytes);
    Py_DECREF(what);
  }
  return line;
}

/* Raise the AssertionError about a step that did not come to its end. */
static void raise_failure(PeerObject *self, size_t step, const struct fk_record *failed) {
  size_t count = self->peer->script.count;
  PyObject *message = NULL;
  PyObject *what = fk_describe_step(PyTuple_GET_ITEM(self->script, (Py_ssize_t)step));
  if (what == NULL) {
    return;
  }
  if (failed->state == FK_FAILED) {
    message = PyUnicode_FromFormat("the peer failed in step %zu of %zu, %U: %s", step + 1, count, what, failed->detail);
  } else if (failed->state == FK_LATE) {
    PyObject *seconds = PyFloat_FromDouble(self->deadline);
    message = seconds == NULL ? NULL
                              : PyUnicode_FromFormat("the deadline of the peer (%R s) passed in step %zu of %zu, "
                                                     "%U, after %llu bytes of it",
                                                     seconds, step + 1, count, what, (unsigned long long)failed->bytes);
    Py_XDECREF(seconds);
  } else {
    message = PyUnicode_FromFormat("the peer was stopped in step %zu of %zu, %U, after %llu bytes of it", step + 1,
                                   count, what, (unsigned long long)failed->bytes);
  }
  Py_DECREF(what);
  int64_t origin = fk_peer_record(self->peer, 0).started;
  for (size_t i = step > 20 ? step - 20 : 0; message != NULL && i <= step; i++) {
    struct fk_record record = fk_peer_record(self->peer, i);
    PyObject *line = line_of(self, i, &record, origin);
    PyObject *longer = line == NULL ? NULL : PyUnicode_FromFormat("%U\n%U", message, line);
    Py_XDECREF(line);
    Py_SETREF(message, longer);
  }
  if (message != NULL) {
    PyErr_SetObject(PyExc_AssertionError, message);
    Py_DECREF(message);
  }
}

static PyObject *peer_verify(PeerObject *self, PyObject *unused) {
  (void)unused;
  if (check_process(self) < 0 || wait_until(self, SIZE_MAX, INT64_MAX) < 0) {
    return NULL;
  }
  join_thread(self);
  for (size_t step = 0; step < self->peer->script.count; step++) {
    struct fk_record record = fk_peer_record(self->peer, step);
    if (record.state != FK_DONE) {
      raise_failure(self, step, &record);
      return NULL;
    }
  }
  Py_RETURN_NONE;
}

static PyObject *peer_enter(PyObject *self, PyObject *unused) {
  (void)unused;
  return Py_NewRef(self);
}

static PyObject *peer_exit(PeerObject *self, PyObject *args) {
  bool failing = PyTuple_GET_SIZE(args) > 0 && PyTuple_GET_ITEM(args, 0) != Py_None;
  return failing ? peer_stop(self, NULL) : peer_verify(self, NULL);
}

static PyObject *peer_repr(PeerObject *self) {
  size_t count = self->peer->script.count;
  if (self->peer->process != getpid()) {
    return PyUnicode_FromFormat("<Peer of another process, %zu steps>", count);
  }
  const char *state = fk_peer_wait(self->peer, SIZE_MAX, 0) ? "ended" : "running";
  return PyUnicode_FromFormat("<Peer %s, %zu of %zu steps done>", state, fk_peer_completed(self->peer), count);
}

PyDoc_STRVAR(peer_doc,
             "Peer(script, connection=None, *, listen=None, deadline=10.0)\n--\n\n"
             "Play a script, a sequence of steps, in a thread that never takes the GIL.\n\n"
             "The peer has a connection (a socket or descriptor, which is duplicated), or listens ('tcp', 'tcp6',\n"
             "'unix': see address), or its script connects. It ends after `deadline` seconds at the latest. As a\n"
             "context manager it verifies at the end of the block, or stops if the block raises.\n\n"
             "Raises ValueError or TypeError for a script that makes no sense, and OSError.");
PyDoc_STRVAR(join_doc, "join($self, /, timeout=None)\n--\n\n"
                       "Wait until the script has ended and the thread is gone; returns whether it is.");
PyDoc_STRVAR(wait_doc, "wait($self, /, steps, timeout=None)\n--\n\n"
                       "Wait until that many steps are done, or the script has ended; returns whether they are.");
PyDoc_STRVAR(stop_doc, "stop($self, /)\n--\n\n"
                       "End the script where it is, close its descriptors and join the thread.");
PyDoc_STRVAR(release_doc, "release($self, /, count=1)\n--\n\n"
                          "Let that many hold() steps pass, now or when they come.");
PyDoc_STRVAR(verify_doc,
             "verify($self, /)\n--\n\n"
             "Wait for the end of the script and raise AssertionError if a step failed, was late or stopped.\n\n"
             "The message names the step, the offset of the first wrong byte, and what led there.");

#define METHOD(function) (PyCFunction)(void (*)(void)) function

static PyMethodDef peer_methods[] = {
    {"join", METHOD(peer_join), METH_VARARGS | METH_KEYWORDS, join_doc},
    {"wait", METHOD(peer_wait), METH_VARARGS | METH_KEYWORDS, wait_doc},
    {"stop", METHOD(peer_stop), METH_NOARGS, stop_doc},
    {"release", METHOD(peer_release), METH_VARARGS | METH_KEYWORDS, release_doc},
    {"verify", METHOD(peer_verify), METH_NOARGS, verify_doc},
    {"__enter__", METHOD(peer_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(peer_exit), METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#define GETTER(function) (getter)(void (*)(void)) function

static PyGetSetDef peer_attributes[] = {
    {"address", GETTER(peer_address), NULL, "where the peer listens, None if it does not", NULL},
    {"completed", GETTER(peer_completed), NULL, "how many steps are done", NULL},
    {"ended", GETTER(peer_ended), NULL, "whether the script has ended, in whatever way", NULL},
    {"log", GETTER(peer_log), NULL, "an Entry for each step that has begun", NULL},
    {"script", GETTER(peer_script), NULL, "the steps, a tuple of dicts", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot peer_slots[] = {
    {Py_tp_doc, (void *)peer_doc},         {Py_tp_new, (void *)peer_new},
    {Py_tp_dealloc, (void *)peer_dealloc}, {Py_tp_traverse, (void *)peer_traverse},
    {Py_tp_repr, (void *)peer_repr},       {Py_tp_methods, peer_methods},
    {Py_tp_getset, peer_attributes},       {0, NULL},
};

static PyType_Spec peer_spec = {
    .name = "loopproof.faultkit.Peer",
    .basicsize = sizeof(PeerObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = peer_slots,
};

int fk_add_peer_type(PyObject *module, struct fk_module *state) {
  state->peer_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &peer_spec, NULL);
  if (state->peer_type == NULL || PyModule_AddType(module, state->peer_type) < 0) {
    return -1;
  }
  state->entry_type = PyStructSequence_NewType(&entry_description);
  return state->entry_type == NULL ? -1 : PyModule_AddObjectRef(module, "Entry", (PyObject *)state->entry_type);
}
