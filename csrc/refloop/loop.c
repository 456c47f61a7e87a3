/* The loop object: its life, from libuv's loop to close(), and what every file of the loop needs of
 * it. */

#include "loop.h"

#include <structmember.h>
#include <time.h>

#include "callee.h"
#include "libuv.h"

static struct loop *as_loop(PyObject *self) { return (struct loop *)self; }

int loop_check_open(struct loop *loop) {
  if (!loop->closed)
    return 0;
  PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
  return -1;
}

/* The same clock as time.monotonic(), rounded as it rounds. */
static double monotonic(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock and a valid address */
  return ((double)((int64_t)now.tv_sec * 1000000000 + now.tv_nsec)) / 1e9;
}

int loop_now(struct loop *loop, double *now) {
  PyObject *number;

  if (loop->own_clock) {
    *now = monotonic();
    return 0;
  }
  if ((number = PyObject_CallMethodNoArgs((PyObject *)loop, loop->state->str_time)) == NULL)
    return -1;
  *now = PyFloat_AsDouble(number);
  Py_DECREF(number);
  return *now == -1.0 && PyErr_Occurred() ? -1 : 0;
}

int loop_queue(struct loop *loop, struct handle *handle) {
  if (loop->ready.count >= HANDLE_BURST) {
    void *newest = ready_at(&loop->ready, loop->ready.count - 1);

    if (callee_pollee(newest) == NULL) /* by now whoever has scheduled it has let go of it, or keeps it */
      handle_hide(newest);
  }
  if (ready_push(&loop->ready, handle) < 0) {
    PyErr_NoMemory();
    return -1;
  }
  Py_INCREF(handle);
  return 0;
}

void loop_drop_timer(struct loop *loop, struct timer_handle *handle) {
  if (handle->timer.place == TIMER_IDLE)
    return;
  timer_heap_remove(&loop->timers, &handle->timer);
  Py_DECREF(handle);
}

/* Releases what waits to be called. What is released may run any code, which finds the loop in
 * order. */
static void drop_calls(struct loop *loop) {
  struct timer *timer;
  void *callee;

  while ((callee = ready_pop(&loop->ready)) != NULL)
    callee_drop(callee);
  while ((timer = timer_heap_first(&loop->timers)) != NULL) {
    timer_heap_remove(&loop->timers, timer);
    Py_DECREF(handle_of_timer(timer));
  }
}

/* Closes libuv's loop and all descriptors of our own. */
static void close_descriptors(struct loop *loop) {
  struct poll poll;

  if (!loop->uv_open)
    return;
  libuv_close(loop);
  poll = loop->poll;
  poll_init(&loop->poll); /* first: releasing the callees may run code that comes back here */
  for (int fd = 0; fd < poll.size; fd++) {
    callee_unwatched(poll.table[fd].callees[POLL_READ]);
    callee_unwatched(poll.table[fd].callees[POLL_WRITE]);
  }
  poll_close(&poll);
  wakeup_close(loop);
  Py_CLEAR(loop->watched_files);
}

/* Opens them. Returns 0, or -1 with an exception. */
static int open_descriptors(struct loop *loop) {
  if (poll_open(&loop->poll) < 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  if (libuv_open(loop) < 0) { /* after it close_descriptors() does its work */
    poll_close(&loop->poll);
    return -1;
  }
  return wakeup_init(loop);
}

static PyObject *loop_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords)) {
  PyObject *module = PyType_GetModuleByDef(type, &core_module), *clock;
  struct loop *loop;

  if (module == NULL || (loop = (struct loop *)type->tp_alloc(type, 0)) == NULL)
    return NULL;
  loop->module = Py_NewRef(module);
  loop->state = PyModule_GetState(module);
  loop->slow_callback_duration = 0.1;
  if ((clock = PyObject_GetAttr((PyObject *)type, loop->state->str_time)) == NULL)
    goto fail;
  loop->own_clock = clock == loop->state->own_time;
  Py_DECREF(clock);
  if (open_descriptors(loop) < 0)
    goto fail;
  return (PyObject *)loop;

fail:
  loop->closed = true; /* for what derived classes do at the end of an object */
  Py_DECREF(loop);
  return NULL;
}

static int loop_traverse(PyObject *self, visitproc visit, void *arg) {
  struct loop *loop = as_loop(self);

  Py_VISIT(Py_TYPE(self));
  Py_VISIT(loop->module);
  for (size_t i = 0; i < loop->ready.count; i++) {
    int result = callee_traverse(ready_at(&loop->ready, i), visit, arg);
    if (result != 0)
      return result;
  }
  for (size_t i = 0; i < loop->timers.count; i++)
    Py_VISIT(handle_of_timer(loop->timers.entries[i].timer));
  for (int fd = 0; fd < loop->poll.size; fd++) {
    for (int direction = POLL_READ; direction <= POLL_WRITE; direction++) {
      void *callee = poll_callee(&loop->poll, fd, direction);
      if (callee != NULL)
        Py_VISIT(callee_object(callee));
    }
  }
  Py_VISIT(loop->watched_files);
  Py_VISIT(loop->itself);
  Py_VISIT(loop->task_factory);
  return 0;
}

static int loop_clear(PyObject *self) {
  struct loop *loop = as_loop(self);

  loop->closed = true; /* nobody can use it any more; should somebody try, it is closed */
  close_descriptors(loop);
  drop_calls(loop);
  Py_CLEAR(loop->task_factory);
  return 0;
}

static void loop_dealloc(PyObject *self) {
  struct loop *loop = as_loop(self);
  PyTypeObject *type = Py_TYPE(self);

  PyObject_GC_UnTrack(self);
  (void)loop_clear(self);
  ready_free(&loop->ready);
  timer_heap_free(&loop->timers);
  PyMem_Free(loop->read_buffer);
  for (unsigned room = 0; room < READING_ROOMS; room++)
    Py_CLEAR(loop->rooms[room].bytes);
  Py_CLEAR(loop->spare);
  Py_CLEAR(loop->module);
  type->tp_free(self);
  Py_DECREF(type);
}

PyDoc_STRVAR(close_doc, "close($self, /)\n--\n\nClose the loop, which must not run; what it would "
                        "still have called is dropped.");

static PyObject *loop_close(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct loop *loop = as_loop(self);

  if (loop->thread != 0) {
    PyErr_SetString(PyExc_RuntimeError, "Cannot close a running event loop");
    return NULL;
  }
  if (!loop->closed) {
    loop->closed = true;
    close_descriptors(loop);
    drop_calls(loop);
    ready_free(&loop->ready);
    timer_heap_free(&loop->timers);
  }
  Py_RETURN_NONE;
}

PyDoc_STRVAR(is_closed_doc, "is_closed($self, /)\n--\n\nWhether close() has been called.");

static PyObject *is_closed(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return PyBool_FromLong(as_loop(self)->closed);
}

PyDoc_STRVAR(check_open_doc, "_check_closed($self, /)\n--\n\nRaise RuntimeError if the loop is closed.");

static PyObject *check_open(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  if (loop_check_open(as_loop(self)) < 0)
    return NULL;
  Py_RETURN_NONE;
}

PyDoc_STRVAR(time_doc, "time($self, /)\n--\n\nThe time on the clock of the loop's timers: that of time.monotonic().");

static PyObject *loop_time(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) {
  return PyFloat_FromDouble(monotonic());
}

PyDoc_STRVAR(get_debug_doc, "get_debug($self, /)\n--\n\nWhether the loop is in debug mode.");

static PyObject *get_debug(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return PyBool_FromLong(as_loop(self)->debug);
}

PyDoc_STRVAR(set_debug_doc, "set_debug($self, enabled, /)\n--\n\nSet the debug mode of the loop.");

static PyObject *set_debug(PyObject *self, PyObject *enabled) {
  int truth = PyObject_IsTrue(enabled);

  if (truth < 0)
    return NULL;
  as_loop(self)->debug = truth;
  Py_RETURN_NONE;
}

static PyMethodDef loop_life_methods[] = {
    {"close", loop_close, METH_NOARGS, close_doc},
    {"is_closed", is_closed, METH_NOARGS, is_closed_doc},
    {"_check_closed", check_open, METH_NOARGS, check_open_doc},
    {"get_debug", get_debug, METH_NOARGS, get_debug_doc},
    {"set_debug", set_debug, METH_O, set_debug_doc},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef *const method_tables[] = {loop_life_methods, loop_run_methods,  loop_schedule_methods,
                                             loop_task_methods, loop_sock_methods, loop_watch_methods};

/* Whether a class derived from the loop's type has another attribute of this name. Returns -1 with an exception. */
static int overrides(struct core_state *state, PyTypeObject *type, const char *name) {
  PyObject *ours = PyObject_GetAttrString((PyObject *)state->loop_type, name);
  PyObject *its = ours != NULL ? PyObject_GetAttrString((PyObject *)type, name) : NULL;
  int different = its == NULL ? -1 : its != ours;

  Py_XDECREF(ours);
  Py_XDECREF(its);
  return different;
}

/* Gives methods to a class, the loop's type or one derived from that; not those that it overrides. */
static int add_methods(struct core_state *state, PyTypeObject *type, PyMethodDef *methods) {
  for (PyMethodDef *method = methods; method->ml_name != NULL; method++) {
    PyObject *descriptor;
    int overridden = 0;

    if (type != state->loop_type && (overridden = overrides(state, type, method->ml_name)) < 0)
      return -1;
    if (overridden)
      continue;
    if ((descriptor = PyDescr_NewMethod(type, method)) == NULL)
      return -1;
    if (PyObject_SetAttrString((PyObject *)type, method->ml_name, descriptor) < 0) {
      Py_DECREF(descriptor);
      return -1;
    }
    Py_DECREF(descriptor);
  }
  return 0;
}

static int add_all_methods(struct core_state *state, PyTypeObject *type) {
  for (size_t i = 0; i < sizeof(method_tables) / sizeof(*method_tables); i++) {
    if (add_methods(state, type, method_tables[i]) < 0)
      return -1;
  }
  return 0;
}

PyDoc_STRVAR(own_methods_doc, "_own_methods($type, /)\n--\n\n"
                              "Have a derived class own what it inherits from here: the interpreter calls methods\n"
                              "faster that belong to the very class of the object.");

static PyObject *own_methods(PyObject *type, PyObject *Py_UNUSED(ignored)) {
  PyObject *module = PyType_GetModuleByDef((PyTypeObject *)type, &core_module);

  if (module == NULL || add_all_methods(PyModule_GetState(module), (PyTypeObject *)type) < 0)
    return NULL;
  Py_RETURN_NONE;
}

/* Not in the tables above: the descriptor of time() tells whether it is overridden. */
static PyMethodDef loop_methods[] = {
    {"time", loop_time, METH_NOARGS, time_doc},
    {"_own_methods", own_methods, METH_NOARGS | METH_CLASS, own_methods_doc},
    {NULL, NULL, 0, NULL},
};

static PyObject *get_current_handle(PyObject *self, void *Py_UNUSED(closure)) {
  struct handle *current = as_loop(self)->current;

  return Py_NewRef(current != NULL ? (PyObject *)current : Py_None);
}

static PyGetSetDef loop_attributes[] = {
    {"_current_handle", get_current_handle, NULL, "In debug mode the handle whose callback runs, or None.", NULL},
    {"uv_loop", libuv_capsule, NULL, libuv_capsule_doc, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef loop_members[] = {
    {"slow_callback_duration", T_DOUBLE, offsetof(struct loop, slow_callback_duration), 0,
     "In debug mode a callback that takes so many seconds is logged."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot loop_slots[] = {
    {Py_tp_doc, (void *)"The core of an event loop; refloop.Loop completes it."},
    {Py_tp_new, (void *)loop_new},
    {Py_tp_dealloc, (void *)loop_dealloc},
    {Py_tp_traverse, (void *)loop_traverse},
    {Py_tp_clear, (void *)loop_clear},
    {Py_tp_methods, loop_methods},
    {Py_tp_getset, loop_attributes},
    {Py_tp_members, loop_members},
    {0, NULL},
};

static PyType_Spec loop_spec = {
    .name = "refloop._core.Loop",
    .basicsize = sizeof(struct loop),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = loop_slots,
};

int loop_type_init(PyObject *module) {
  struct core_state *state = PyModule_GetState(module);
  PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &loop_spec, NULL);

  if (type == NULL)
    return -1;
  state->loop_type = type;
  if (add_all_methods(state, type) < 0)
    return -1;
  if ((state->own_time = PyObject_GetAttr((PyObject *)type, state->str_time)) == NULL)
    return -1;
  return PyModule_AddType(module, type);
}
