/* What all transports are: life, from the constructor to connection_lost(), and reports of what went wrong. */

#include "transport.h"

#include <errno.h>
#include <unistd.h>

#include "compat.h"
#include "errors.h"
#include "flow.h"
#include "loop.h"
#include "reading.h"
#include "schedule.h"
#include "writing.h"

static struct transport *as_transport(PyObject *self) { return (struct transport *)self; }

static struct core_state *state_of(struct transport *transport) { return transport->loop->state; }

static PyObject *given(PyObject *argument) { return argument != Py_None ? argument : NULL; }

int transport_set_extra(struct transport *transport, PyObject *key, PyObject *value) {
  int failed = -1;

  if (value != NULL && (transport->extra != NULL || (transport->extra = PyDict_New()) != NULL))
    failed = PyDict_SetItem(transport->extra, key, value);
  Py_XDECREF(value);
  return failed;
}

/* The descriptor of a file, -1 with an exception. */
static int descriptor_of(struct core_state *state, PyObject *file) {
  PyObject *number = PyObject_CallMethodNoArgs(file, state->str_fileno);
  int fd;

  if (number == NULL)
    return -1;
  fd = PyObject_AsFileDescriptor(number); /* an int: no other code runs */
  Py_DECREF(number);
  return fd;
}

void transport_set_file(struct transport *transport, PyObject *file) {
  transport->file = file;
  transport->numbered = PyObject_TypeCheck(file, state_of(transport)->socket_type) &&
                        number_in_socket(file) == transport->fd; /* else it is laid out in another way */
}

static const struct pollee_kind reading_kind = {.run = reading_on_readable,
                                                .place = offsetof(struct transport, reading)};
static const struct pollee_kind writing_kind = {.run = writing_on_writable,
                                                .place = offsetof(struct transport, writing)};

int transport_set_up(struct transport *transport, const struct transport_kind *kind,
                     const struct transport_arguments *arguments) {
  struct loop *loop = arguments->loop;
  PyObject *none;

  transport->kind = kind;
  transport->closing = transport->lost = true; /* until it is started */
  transport->reads = true;
  transport->fd = -1;
  transport->high_water = FLOW_DEFAULT_HIGH;
  transport->low_water = FLOW_DEFAULT_LOW;
  transport->reading.kind = &reading_kind;
  transport->writing.kind = &writing_kind;
  transport->protocol = Py_NewRef(Py_None);
  if (loop_check_open(loop) < 0 || reading_reserve(loop) < 0)
    return -1;
  transport->loop = (struct loop *)Py_NewRef((PyObject *)loop);
  transport->context = Py_XNewRef(given(arguments->context));
  if (given(arguments->extra) != NULL && !PyDict_Check(arguments->extra)) {
    PyErr_Format(PyExc_TypeError, "extra must be a dict, not %.200s", Py_TYPE(arguments->extra)->tp_name);
    return -1;
  }
  transport->extra = Py_XNewRef(given(arguments->extra));
  transport->fd = arguments->file != NULL ? descriptor_of(loop->state, arguments->file) : arguments->fd;
  if (transport->fd < 0)
    return -1;
  if ((none = transport_set_protocol((PyObject *)transport, arguments->protocol)) == NULL)
    return -1;
  Py_DECREF(none);
  return 0;
}

/* Lets go of the handle of a call that was queued. Returns 0, or -1 where there is none, with the exception. */
static int queued(struct handle *handle) {
  Py_XDECREF((PyObject *)handle);
  return handle != NULL ? 0 : -1;
}

int transport_call_soon(struct transport *transport, PyObject *callback, PyObject *argument) {
  int failed;

  if (callback == NULL)
    return -1;
  failed = queued(schedule_soon(transport->loop, callback, &argument, argument != NULL, transport->context));
  Py_DECREF(callback);
  return failed;
}

/* Queues a call of a method of the transport itself, of which no object is made. Returns 0, or -1 with an exception. */
static int call_own_soon(struct transport *transport, PyObject *name, PyObject *argument, PyObject *context) {
  PyObject *args[] = {(PyObject *)transport, argument};
  PyObject *method = PyObject_GetAttr((PyObject *)Py_TYPE(transport), name);
  int failed = queued(method != NULL ? schedule_soon(transport->loop, method, args, 2, context) : NULL);

  Py_XDECREF(method);
  return failed;
}

/* Queues connection_made() and then, when reading starts and the waiter wakes up, begin(): both or none. Returns 0, or
   -1 with an exception. */
static int call_made_and_begin(struct transport *transport, PyObject *waiter) {
  struct core_state *state = state_of(transport);
  PyObject *self = (PyObject *)transport, *made = PyObject_GetAttr(transport->protocol, state->str_connection_made);
  struct handle *handle = made != NULL ? schedule_soon(transport->loop, made, &self, 1, transport->context) : NULL;
  int failed = handle == NULL || call_own_soon(transport, state->str_begin, waiter, transport->context) < 0;

  if (failed && handle != NULL)
    handle_cancel(handle);
  Py_XDECREF(made);
  Py_XDECREF((PyObject *)handle);
  return failed ? -1 : 0;
}

int transport_start(struct transport *transport, const struct transport_arguments *arguments) {
  if (loop_check_open(transport->loop) < 0) /* what was called may have closed it */
    return -1;
  if (given(arguments->server) != NULL)
    server_attach(arguments->server, transport);
  transport->closing = transport->lost = false;
  transport->open = true;
  if (arguments->file != NULL)
    transport_set_file(transport, Py_NewRef(arguments->file));
  if (call_made_and_begin(transport, arguments->waiter != NULL ? arguments->waiter : Py_None) == 0)
    return 0;
  transport->closing = transport->lost = true;
  transport->open = transport->numbered = false;
  poll_disclaim(&transport->loop->poll, transport->fd, transport);
  server_forget(transport);
  Py_CLEAR(transport->file);
  return -1;
}

/* Closes the descriptor, which is open, by its object if it has one. Returns 0, or -1 with an exception. */
static int close_file(struct transport *transport) {
  PyObject *file = transport->file, *result;
  int failed;

  transport->open = transport->numbered = false;
  transport->file = NULL;
  if (file != NULL) {
    result = PyObject_CallMethodNoArgs(file, state_of(transport)->str_close);
    Py_DECREF(file);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
  }
  Py_BEGIN_ALLOW_THREADS /* it may linger */
      failed = close(transport->fd) < 0 && errno != ECONNRESET;
  Py_END_ALLOW_THREADS if (!failed) return 0;
  PyErr_SetFromErrno(PyExc_OSError);
  return -1;
}

/* Keeps the first of two exceptions, the one given and the one that is set; steals the reference to the given one,
   which may be NULL. */
static void keep_first(PyObject *self, PyObject *exception) {
  if (exception == NULL)
    return;
  if (PyErr_Occurred())
    PyErr_WriteUnraisable(self);
  give_exception(exception);
}

/* Ends a future that somebody waits for, unless it was cancelled. */
static int wake(struct core_state *state, PyObject *waiter) {
  PyObject *answer = PyObject_CallMethodNoArgs(waiter, state->str_cancelled);
  int cancelled = answer != NULL ? PyObject_IsTrue(answer) : -1;

  Py_XDECREF(answer);
  if (cancelled != 0)
    return cancelled < 0 ? -1 : 0;
  answer = PyObject_CallMethodOneArg(waiter, state->str_set_result, Py_None);
  Py_XDECREF(answer);
  return answer != NULL ? 0 : -1;
}

/* Loses the connection with the exception that is set, which stays so. */
static void lose_with_exception(struct transport *transport) {
  PyObject *exception = take_exception();

  if (transport_lose(transport, exception) < 0)
    PyErr_WriteUnraisable((PyObject *)transport);
  give_exception(exception);
}

PyObject *transport_begin(PyObject *self, PyObject *waiter) {
  struct transport *transport = as_transport(self);
  int failed = transport->reads && reading_start(transport) < 0;

  if (failed) /* the protocol would wait in vain */
    lose_with_exception(transport);
  if (waiter != Py_None) {
    PyObject *exception = take_exception();

    failed |= wake(state_of(transport), waiter) < 0;
    keep_first(self, exception);
  }
  if (failed)
    return NULL;
  Py_RETURN_NONE;
}

/* Ends reading, and lets others watch the descriptor. */
static void mark_as_closing(struct transport *transport) {
  transport->closing = true;
  poll_disclaim(&transport->loop->poll, transport->fd, transport);
  pollee_unwatch(transport->loop, &transport->reading);
}

int transport_begin_close(struct transport *transport) {
  if (!transport->closing)
    mark_as_closing(transport);
  return transport->queue.count == 0 ? transport_lose(transport, Py_None) : 0;
}

/* Queues connection_lost(). Without memory for a copy of the current context it is called in an older one: whoever has
   the connection has to be told. Returns 0, or -1 with an exception. */
static int call_connection_lost_soon(struct transport *transport, PyObject *exception) {
  PyObject *context = transport_new_context(transport);
  int failed;

  if (context == NULL) {
    if (transport->read_context == NULL)
      return -1;
    PyErr_Clear();
    context = Py_NewRef(transport->read_context);
  }
  failed = call_own_soon(transport, state_of(transport)->str_call_connection_lost, exception, context);
  Py_DECREF(context);
  return failed;
}

int transport_lose(struct transport *transport, PyObject *exception) {
  int failed;

  if (transport->lost)
    return 0;
  transport->lost = true;
  failed = call_connection_lost_soon(transport, exception);
  if (failed && !transport->loop->closed) {
    transport->lost = false;
    return -1;
  }
  if (transport->kind->half_open_writes)
    transport->lost_writes++;
  write_queue_clear(&transport->queue, writing_release);
  mark_as_closing(transport);
  pollee_unwatch(transport->loop, &transport->writing);
  return failed;
}

PyObject *transport_call_connection_lost(PyObject *self, PyObject *exception) {
  struct transport *transport = as_transport(self);
  struct core_state *state = state_of(transport);
  PyObject *result;

  if (!transport->open)
    Py_RETURN_NONE;
  result = PyObject_CallMethodOneArg(transport->protocol, state->str_connection_lost, exception);
  Py_XDECREF(result);
  /* whatever that raised, the rest is done */
  exception = take_exception();
  (void)close_file(transport);
  keep_first(self, exception);
  exception = take_exception();
  (void)server_detach(transport);
  keep_first(self, exception);
  exception = take_exception();
  Py_SETREF(transport->protocol, Py_NewRef(Py_None));
  Py_CLEAR(transport->context);
  Py_CLEAR(transport->read_context);
  Py_CLEAR(transport->write_context);
  give_exception(exception);
  if (exception != NULL)
    return NULL;
  Py_RETURN_NONE;
}

PyObject *transport_new_context(struct transport *transport) {
  return transport->context != NULL ? Py_NewRef(transport->context) : PyContext_CopyCurrent();
}

int transport_log(struct transport *transport, PyObject *level, const char *text, PyObject *exception) {
  struct core_state *state = state_of(transport);
  PyObject *stack[4] = {NULL, NULL, (PyObject *)transport, exception};
  PyObject *method = PyObject_GetAttr(state->logger, level), *done = NULL;

  if (method != NULL && (stack[1] = PyUnicode_FromString(text)) != NULL)
    done = PyObject_Vectorcall(method, stack + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                               exception != NULL ? state->keywords_exc_info : NULL);
  Py_XDECREF(method);
  Py_XDECREF(stack[1]);
  Py_XDECREF(done);
  return done != NULL ? 0 : -1;
}

int transport_warn(struct transport *transport, const char *text) {
  PyObject *done = PyObject_CallMethod(state_of(transport)->logger, "warning", "s", text);

  Py_XDECREF(done);
  return done != NULL ? 0 : -1;
}

/* Reports an exception as transport_report() does. */
static int report(struct transport *transport, const char *message, PyObject *exception) {
  PyObject *context = Py_BuildValue("{sssOsOsO}", "message", message, "exception", exception, "transport", transport,
                                    "protocol", transport->protocol);
  PyObject *done;

  if (context == NULL)
    return -1;
  done = PyObject_CallMethodOneArg((PyObject *)transport->loop, transport->loop->state->str_call_exception_handler,
                                   context);
  Py_DECREF(context);
  Py_XDECREF(done);
  return done != NULL ? 0 : -1;
}

int transport_report(struct transport *transport, const char *message) {
  PyObject *exception;
  int failed;

  if (errors_leave_run())
    return -1;
  exception = take_exception();
  failed = report(transport, message, exception);
  Py_DECREF(exception);
  return failed;
}

/* Logs an error of the other side, or the network, in debug mode. */
static int log_error(struct transport *transport, const char *message, PyObject *exception) {
  char text[128];

  if (!transport->loop->debug)
    return 0;
  PyOS_snprintf(text, sizeof(text), "%%r: %s", message);
  return transport_log(transport, transport->loop->state->str_debug, text, exception);
}

int transport_fatal(struct transport *transport, const char *message) {
  PyObject *exception, *of_report;
  int failed;

  if (errors_leave_run())
    return -1;
  exception = take_exception();
  failed = transport->kind->is_quiet(exception) ? log_error(transport, message, exception)
                                                : report(transport, message, exception);
  of_report = take_exception();
  failed |= transport_lose(transport, exception);
  keep_first((PyObject *)transport, of_report);
  Py_DECREF(exception);
  return failed;
}

PyObject *transport_get_protocol(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return Py_NewRef(as_transport(self)->protocol);
}

PyObject *transport_set_protocol(PyObject *self, PyObject *protocol) {
  struct transport *transport = as_transport(self);
  int buffered = PyObject_IsInstance(protocol, state_of(transport)->buffered_protocol_type);

  if (buffered < 0)
    return NULL;
  transport->buffered = buffered;
  Py_SETREF(transport->protocol, Py_NewRef(protocol));
  Py_RETURN_NONE;
}

PyObject *transport_get_extra_info(PyObject *self, PyObject *args, PyObject *keywords) {
  static const char *const names[] = {"name", "default", NULL};
  struct transport *transport = as_transport(self);
  PyObject *name, *otherwise = Py_None, *value = NULL;

  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|O:get_extra_info", (char **)(uintptr_t)names, &name, &otherwise))
    return NULL;
  if (transport->extra != NULL)
    value = Py_XNewRef(PyDict_GetItemWithError(transport->extra, name));
  else if (PyObject_Hash(name) == -1) /* as a dictionary would refuse it */
    return NULL;
  if (value == NULL && !PyErr_Occurred() && transport->kind->describe != NULL)
    value = transport->kind->describe(transport, name);
  return value != NULL || PyErr_Occurred() ? value : Py_NewRef(otherwise);
}

PyObject *transport_close(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  if (transport_begin_close(as_transport(self)) < 0)
    return NULL;
  Py_RETURN_NONE;
}

PyObject *transport_is_closing(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return PyBool_FromLong(as_transport(self)->closing);
}

const char transport_close_doc[] = "close($self, /)\n--\n\nStop reading, write what is queued, and then close.";
const char transport_get_extra_info_doc[] =
    "get_extra_info($self, name, default=None)\n--\n\nWhat is known of the connection by this name.";
const char transport_is_closing_doc[] = "is_closing($self, /)\n--\n\nWhether the transport is closing or closed.";
const char transport_get_protocol_doc[] =
    "get_protocol($self, /)\n--\n\nThe protocol; None once connection_lost() was called.";
const char transport_set_protocol_doc[] = "set_protocol($self, protocol, /)\n--\n\nSet the protocol.";

/* All is done by the constructors, so that there is no transport that is not complete. */
int transport_init(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords)) { return 0; }

int transport_traverse(PyObject *self, visitproc visit, void *arg) {
  struct transport *transport = as_transport(self);

  Py_VISIT(Py_TYPE(self));
  Py_VISIT(transport->extra);
  Py_VISIT(transport->attributes);
  Py_VISIT((PyObject *)transport->loop);
  Py_VISIT(transport->file);
  Py_VISIT(transport->protocol);
  Py_VISIT(transport->server);
  Py_VISIT(transport->context);
  Py_VISIT(transport->read_context);
  Py_VISIT(transport->write_context);
  Py_VISIT(transport->limits);
  return 0; /* the queue is of bytes */
}

int transport_clear(PyObject *self) {
  struct transport *transport = as_transport(self);

  /* the loop stays: methods count on it */
  transport->closing = transport->lost = true;
  transport->numbered = false;
  Py_CLEAR(transport->extra);
  Py_CLEAR(transport->attributes);
  Py_CLEAR(transport->file);
  if (transport->protocol != NULL)
    Py_SETREF(transport->protocol, Py_NewRef(Py_None));
  server_forget(transport);
  Py_CLEAR(transport->context);
  Py_CLEAR(transport->read_context);
  Py_CLEAR(transport->write_context);
  Py_CLEAR(transport->limits);
  return 0;
}

/* Warns of a transport that nobody closed, and closes its file. */
void transport_finalize(PyObject *self) {
  struct transport *transport = as_transport(self);
  PyObject *exception;

  if (!transport->open)
    return;
  exception = take_exception();
  if (PyErr_ResourceWarning(self, 1, "unclosed transport %R", self) < 0)
    PyErr_WriteUnraisable(self);
  transport->lost = true;
  mark_as_closing(transport);
  pollee_unwatch(transport->loop, &transport->writing);
  if (transport->open && close_file(transport) < 0)
    PyErr_WriteUnraisable(self);
  if (server_detach(transport) < 0)
    PyErr_WriteUnraisable(self);
  give_exception(exception);
}

void transport_dealloc(PyObject *self) {
  struct transport *transport = as_transport(self);
  PyTypeObject *type = Py_TYPE(self);

  if (PyObject_CallFinalizerFromDealloc(self) < 0)
    return;
  PyObject_GC_UnTrack(self);
  PyObject_ClearWeakRefs(self);
  if (transport->loop != NULL)
    poll_disclaim(&transport->loop->poll, transport->fd, transport);
  (void)transport_clear(self);
  write_queue_clear(&transport->queue, writing_release);
  Py_CLEAR(transport->protocol);
  Py_CLEAR(transport->loop);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef transport_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(struct transport, attributes), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct transport, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject *transport_make_type(PyObject *module, const char *base_name, PyType_Spec *spec) {
  PyObject *asyncio = PyImport_ImportModule("asyncio"), *base = NULL;
  PyTypeObject *type = NULL;

  if (asyncio != NULL)
    base = PyObject_GetAttrString(asyncio, base_name);
  Py_XDECREF(asyncio);
  if (base == NULL)
    return NULL;
  if (!PyType_Check(base) || ((PyTypeObject *)base)->tp_basicsize != offsetof(struct transport, attributes) ||
      ((PyTypeObject *)base)->tp_itemsize || ((PyTypeObject *)base)->tp_dictoffset)
    PyErr_Format(PyExc_ImportError, "asyncio.%s is not laid out as in the versions of Python that refloop knows",
                 base_name);
  else
    type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, base);
  Py_DECREF(base);
  if (type != NULL && PyModule_AddType(module, type) < 0)
    Py_CLEAR(type);
  return type;
}
