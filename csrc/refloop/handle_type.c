/* The types Handle and TimerHandle: methods and attributes. What they do not define, such as repr()
   and ordering, they inherit from asyncio's classes, which find all that they need in the
   attributes here. */

#include "handle_type.h"

#include "handle.h"
#include "loop.h"
#include "state.h"

static struct handle *as_handle(PyObject *self) { return (struct handle *)self; }

static PyObject *new_ref_or_none(PyObject *object) { return Py_NewRef(object != NULL ? object : Py_None); }

PyDoc_STRVAR(cancel_doc, "cancel($self, /)\n--\n\nPrevent the callback from being called; nothing if it was called.");

static PyObject *cancel(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  handle_cancel(as_handle(self));
  Py_RETURN_NONE;
}

PyDoc_STRVAR(cancelled_doc, "cancelled($self, /)\n--\n\nWhether cancel() has been called.");

static PyObject *cancelled(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return PyBool_FromLong(as_handle(self)->cancelled);
}

PyDoc_STRVAR(get_context_doc, "get_context($self, /)\n--\n\nThe contextvars.Context that the callback runs in.");

static PyObject *get_context(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return Py_XNewRef(handle_context(as_handle(self)));
}

PyDoc_STRVAR(run_doc, "_run($self, /)\n--\n\nCall the callback now; what it raises is reported to the loop.");

static PyObject *run(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  int failed;

  Py_INCREF(self);
  failed = handle_run(as_handle(self)) < 0;
  Py_DECREF(self);
  if (failed)
    return NULL;
  Py_RETURN_NONE;
}

PyDoc_STRVAR(when_doc, "when($self, /)\n--\n\nThe time at which the callback is due, on the scale of loop.time().");

static PyObject *when(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return PyFloat_FromDouble(((struct timer_handle *)self)->timer.when);
}

static PyObject *get_callback(PyObject *self, void *Py_UNUSED(closure)) {
  return new_ref_or_none(as_handle(self)->callback);
}

static PyObject *get_args(PyObject *self, void *Py_UNUSED(closure)) {
  struct handle *handle = as_handle(self);
  PyObject *args;

  if (handle->callback == NULL)
    Py_RETURN_NONE;
  if (handle->nargs > HANDLE_INLINE_ARGS)
    return Py_NewRef(handle->args[0]);
  if ((args = PyTuple_New(handle->nargs)) == NULL)
    return NULL;
  for (Py_ssize_t i = 0; i < handle->nargs; i++)
    PyTuple_SET_ITEM(args, i, Py_NewRef(handle->args[i]));
  return args;
}

static PyObject *get_cancelled(PyObject *self, void *Py_UNUSED(closure)) {
  return PyBool_FromLong(as_handle(self)->cancelled);
}

static PyObject *get_context_attribute(PyObject *self, void *Py_UNUSED(closure)) { return get_context(self, NULL); }

static PyObject *get_loop(PyObject *self, void *Py_UNUSED(closure)) {
  return new_ref_or_none((PyObject *)as_handle(self)->loop);
}

static PyObject *get_source_traceback(PyObject *self, void *Py_UNUSED(closure)) {
  return new_ref_or_none(as_handle(self)->source_traceback);
}

static PyObject *get_text(PyObject *self, void *Py_UNUSED(closure)) { return new_ref_or_none(as_handle(self)->text); }

static PyObject *get_scheduled(PyObject *self, void *Py_UNUSED(closure)) {
  return PyBool_FromLong(((struct timer_handle *)self)->timer.place != TIMER_IDLE);
}

static PyObject *get_when(PyObject *self, void *Py_UNUSED(closure)) { return when(self, NULL); }

#define HANDLE_METHODS                                                                                                 \
  {"cancel", cancel, METH_NOARGS, cancel_doc}, {"cancelled", cancelled, METH_NOARGS, cancelled_doc},                   \
      {"get_context", get_context, METH_NOARGS, get_context_doc}, {                                                    \
    "_run", run, METH_NOARGS, run_doc                                                                                  \
  }

#define HANDLE_ATTRIBUTES                                                                                              \
  {"_callback", get_callback, NULL, NULL, NULL}, {"_args", get_args, NULL, NULL, NULL},                                \
      {"_cancelled", get_cancelled, NULL, NULL, NULL}, {"_context", get_context_attribute, NULL, NULL, NULL},          \
      {"_loop", get_loop, NULL, NULL, NULL}, {"_source_traceback", get_source_traceback, NULL, NULL, NULL}, {          \
    "_repr", get_text, NULL, NULL, NULL                                                                                \
  }

static PyMethodDef handle_methods[] = {HANDLE_METHODS, {NULL, NULL, 0, NULL}};

static PyMethodDef timer_handle_methods[] = {
    HANDLE_METHODS, {"when", when, METH_NOARGS, when_doc}, {NULL, NULL, 0, NULL}};

static PyGetSetDef handle_attributes[] = {HANDLE_ATTRIBUTES, {NULL, NULL, NULL, NULL, NULL}};

static PyGetSetDef timer_handle_attributes[] = {HANDLE_ATTRIBUTES,
                                                {"_scheduled", get_scheduled, NULL, NULL, NULL},
                                                {"_when", get_when, NULL, NULL, NULL},
                                                {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, (void *)"A callback that waits for its turn; made by the loop."},
    {Py_tp_dealloc, (void *)handle_dealloc},
    {Py_tp_traverse, (void *)handle_traverse},
    {Py_tp_clear, (void *)handle_clear},
    {Py_tp_methods, handle_methods},
    {Py_tp_getset, handle_attributes},
    {0, NULL},
};

static PyType_Slot timer_handle_slots[] = {
    {Py_tp_doc, (void *)"A callback that waits for its time; made by the loop."},
    {Py_tp_dealloc, (void *)handle_dealloc},
    {Py_tp_traverse, (void *)handle_traverse},
    {Py_tp_clear, (void *)handle_clear},
    {Py_tp_methods, timer_handle_methods},
    {Py_tp_getset, timer_handle_attributes},
    {0, NULL},
};

/* Not Py_TPFLAGS_IMMUTABLETYPE: their base classes are mutable, which Python 3.14 refuses. */
#define HANDLE_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION)

static PyType_Spec handle_spec = {
    .name = "refloop._core.Handle",
    .basicsize = sizeof(struct handle),
    .flags = HANDLE_FLAGS,
    .slots = handle_slots,
};

static PyType_Spec timer_handle_spec = {
    .name = "refloop._core.TimerHandle",
    .basicsize = sizeof(struct timer_handle),
    .flags = HANDLE_FLAGS,
    .slots = timer_handle_slots,
};

/* Makes a type on a class of asyncio after checking that the memory of its slots is where struct
 * handle has room. */
static PyTypeObject *make_type(PyObject *module, PyObject *asyncio, const char *name, PyType_Spec *spec, size_t room) {
  PyObject *base = PyObject_GetAttrString(asyncio, name);
  PyTypeObject *type = NULL;

  if (base == NULL)
    return NULL;
  if (!PyType_Check(base) || (size_t)((PyTypeObject *)base)->tp_basicsize > room || ((PyTypeObject *)base)->tp_itemsize
#if PY_VERSION_HEX < 0x030C0000
      || ((PyTypeObject *)base)->tp_weaklistoffset != offsetof(struct handle, weakrefs)
#else
      || !(((PyTypeObject *)base)->tp_flags & Py_TPFLAGS_MANAGED_WEAKREF)
#endif
  ) {
    PyErr_Format(PyExc_ImportError, "asyncio.%s is not laid out as in the versions of Python that refloop knows", name);
  } else {
    type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, base);
  }
  Py_DECREF(base);
  if (type != NULL && PyModule_AddType(module, type) < 0)
    Py_CLEAR(type);
  return type;
}

int handle_types_init(PyObject *module) {
  struct core_state *state = (struct core_state *)PyModule_GetState(module);
  PyObject *asyncio = PyImport_ImportModule("asyncio");

  if (asyncio == NULL)
    return -1;
  state->handle_type = make_type(module, asyncio, "Handle", &handle_spec, offsetof(struct handle, text));
  if (state->handle_type != NULL) {
    state->timer_handle_type =
        make_type(module, asyncio, "TimerHandle", &timer_handle_spec, offsetof(struct handle, nargs));
  }
  Py_DECREF(asyncio);
  return state->timer_handle_type != NULL ? handle_reserve(state) : -1;
}
