/* The type Peer: a peer for Python. */
#include "peer_type.h"

#include "values.h"

#include <unistd.h>

#define LONGEST 86400.0
#define SLICE (FK_SECOND / 20)
#define BACKLOG 128

static struct fk_module *module_of(PyTypeObject *type) { return PyType_GetModuleState(type); }

/* A time in seconds as nanoseconds; None is `otherwise`. Returns -1 with an exception set. */
static int64_t nanoseconds_of(PyObject *seconds, int64_t otherwise) {
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
  return (int64_t)(value * (double)FK_SECOND);
}

/* A timeout in seconds as a point of CLOCK_MONOTONIC; None is never. Returns -1 with an exception set. */
static int64_t limit_of(PyObject *timeout) {
  int64_t wait = nanoseconds_of(timeout, INT64_MAX);
  return wait < 0 || wait == INT64_MAX ? wait : fk_now() + wait;
}

/* The value of an argument that is a size, if it was given. Returns 0, or -1 with an exception set. */
static int size_of(PyObject *value, const char *name, int *size) {
  if (value == NULL || fk_parse_value(value, FK_BUFFER_SIZE, size) == 0) {
    return 0;
  }
  fk_prefix_error(PyUnicode_FromString(name));
  return -1;
}

static PyObject *peer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"script",  "connection",     "listen",      "bind",     "pair",
                          "backlog", "receive_buffer", "send_buffer", "deadline", NULL};
  struct fk_options options = {.connection = Py_None, .backlog = BACKLOG};
  PyObject *steps;
  PyObject *backlog = NULL;
  PyObject *receive_buffer = NULL;
  PyObject *send_buffer = NULL;
  PyObject *deadline_value = NULL;
  struct fk_script script = {NULL, 0};
  struct fk_endpoint listener = {.descriptor = -1};
  struct fk_endpoint connection = {.descriptor = -1};
  const char *reason;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O$zzzOOOO:Peer", names, &steps, &options.connection,
                                   &options.listen, &options.bind, &options.pair, &backlog, &receive_buffer,
                                   &send_buffer, &deadline_value) ||
      size_of(backlog, "backlog", &options.backlog) < 0 ||
      size_of(receive_buffer, "receive_buffer", &options.buffers.receive) < 0 ||
      size_of(send_buffer, "send_buffer", &options.buffers.send) < 0) {
    return NULL;
  }
  int64_t lifetime = nanoseconds_of(deadline_value, 10 * FK_SECOND);
  if (lifetime < 0) {
    return NULL;
  }
  PeerObject *self = (PeerObject *)type->tp_alloc(type, 0);
  if (self == NULL) {
    return NULL;
  }
  self->other = -1;
  self->deadline = (double)lifetime / (double)FK_SECOND;
  self->script = fk_parse_script(steps, &script);
  if (self->script == NULL || fk_open_endpoints(&options, &listener, &connection, &self->other) < 0) {
    goto failed;
  }
  size_t wrong = fk_script_check(&script, connection.kind != FK_NOTHING, listener.kind != FK_NOTHING, &reason);
  if (wrong < script.count) {
    if (reason == NULL) {
      PyErr_NoMemory();
    } else {
      PyErr_Format(PyExc_ValueError, "step %zu: %s: %s", wrong + 1, fk_verb_name(script.steps[wrong].verb), reason);
    }
    goto failed;
  }
  self->address = listener.kind != FK_NOTHING ? fk_address_of(&listener)
                  : options.bind != NULL      ? fk_address_of(&connection)
                                              : Py_NewRef(Py_None);
  if (self->address == NULL) {
    goto failed;
  }
  self->peer = fk_peer_start(&script, listener, connection, fk_now() + lifetime);
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
  if (self->other >= 0) {
    close(self->other);
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
  int64_t limit = limit_of(timeout);
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
  int64_t limit = limit_of(timeout);
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

static PyObject *peer_take(PeerObject *self, PyObject *unused) {
  (void)unused;
  if (self->other < 0) {
    PyErr_SetString(PyExc_ValueError, "there is no other end of a pair, or it has been taken");
    return NULL;
  }
  PyObject *number = PyLong_FromLong(self->other);
  if (number != NULL) {
    self->other = -1;
  }
  return number;
}

static PyObject *peer_log(PeerObject *self, void *closure) {
  (void)closure;
  if (check_process(self) < 0) {
    return NULL;
  }
  return fk_make_log(self, module_of(Py_TYPE(self))->entry_type);
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

/* Copies, for the peer describes its steps with its own dicts, which must stay as they are. */
static PyObject *peer_script(PeerObject *self, void *closure) {
  Py_ssize_t count = PyTuple_GET_SIZE(self->script);
  PyObject *copies = PyTuple_New(count);
  (void)closure;
  for (Py_ssize_t i = 0; copies != NULL && i < count; i++) {
    PyObject *copy = PyDict_Copy(PyTuple_GET_ITEM(self->script, i));
    if (copy == NULL) {
      Py_CLEAR(copies);
    } else {
      PyTuple_SET_ITEM(copies, i, copy);
    }
  }
  return copies;
}

static PyObject *peer_address(PeerObject *self, void *closure) {
  (void)closure;
  return Py_NewRef(self->address);
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
      fk_raise_failure(self, step, &record);
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

PyDoc_STRVAR(
    peer_doc,
    "Peer(script, connection=None, *, listen=None, bind=None, pair=None, backlog=128, receive_buffer=0, "
    "send_buffer=0, deadline=10.0)\n--\n\n"
    "Play a script, a sequence of steps, in a thread that never takes the GIL.\n\n"
    "The peer starts with one of these, or with nothing, and its script connects:\n\n"
    "connection: a socket, a file or a descriptor, which is duplicated; one that listens is for accept().\n"
    "listen: 'tcp', 'tcp6' (a free port of the loopback address) or 'unix' (a free abstract name); see address.\n"
    "bind: a socket for datagrams, 'udp', 'udp6' or 'unix'; see address.\n"
    "pair: one end of a connected pair, whose other end take() gives: 'tcp', 'unix', 'datagram' (UNIX sockets),\n"
    "'pipe_source' (the peer writes), 'pipe_sink' (the peer reads), 'pty_master' or 'pty_terminal' (raw).\n\n"
    "backlog: as of listen(2); one connection more than that can wait to be accepted.\n"
    "receive_buffer, send_buffer: SO_RCVBUF and SO_SNDBUF of the peer's socket in bytes, set before anything\n"
    "else; what is accepted has them, too.\n"
    "deadline: seconds after which the peer ends at the latest, 0 to 86400.\n\n"
    "As a context manager it verifies at the end of the block, or stops if the block raises.\n\n"
    "Raises ValueError or TypeError for a script that makes no sense, and OSError.");
PyDoc_STRVAR(join_doc, "join($self, /, timeout=None)\n--\n\n"
                       "Wait until the script has ended and the thread is gone; returns whether it is.");
PyDoc_STRVAR(wait_doc, "wait($self, /, steps, timeout=None)\n--\n\n"
                       "Wait until that many steps are done, or the script has ended; returns whether they are.");
PyDoc_STRVAR(stop_doc, "stop($self, /)\n--\n\n"
                       "End the script where it is, close its descriptors and join the thread.");
PyDoc_STRVAR(release_doc, "release($self, /, count=1)\n--\n\n"
                          "Let that many hold() steps pass, now or when they come.");
PyDoc_STRVAR(take_doc, "take($self, /)\n--\n\n"
                       "Return the descriptor of the other end of the pair, once; it is the caller's to close then.\n"
                       "Until it is taken it is closed with the peer.\n\n"
                       "Raises ValueError if there is none.");
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
    {"take", METHOD(peer_take), METH_NOARGS, take_doc},
    {"verify", METHOD(peer_verify), METH_NOARGS, verify_doc},
    {"__enter__", METHOD(peer_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(peer_exit), METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#define GETTER(function) (getter)(void (*)(void)) function

static PyGetSetDef peer_attributes[] = {
    {"address", GETTER(peer_address), NULL, "where the peer listens or is bound, else None", NULL},
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
  state->entry_type = fk_make_entry_type();
  return state->entry_type == NULL ? -1 : PyModule_AddObjectRef(module, "Entry", (PyObject *)state->entry_type);
}
