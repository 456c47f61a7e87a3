/* Flow control of writing: the water marks, between which the protocol is paused and resumed. */

#include "flow.h"

#include "loop.h"
#include "transport.h"

static struct transport *as_transport(PyObject *self) { return (struct transport *)self; }

/* Calls a method of the protocol; what it raises is reported. */
static int tell(struct transport *transport, PyObject *method, const char *failure) {
  PyObject *protocol = Py_NewRef(transport->protocol);
  PyObject *done = PyObject_CallMethodNoArgs(protocol, method);

  Py_DECREF(protocol);
  Py_XDECREF(done);
  return done != NULL ? 0 : transport_report(transport, failure);
}

int flow_queue_grew(struct transport *transport) {
  if (transport->queue.bytes <= transport->high_water || transport->protocol_paused)
    return 0;
  transport->protocol_paused = true;
  return tell(transport, transport->loop->state->str_pause_writing, "protocol.pause_writing() failed");
}

int flow_queue_shrank(struct transport *transport) {
  if (transport->queue.bytes > transport->low_water || !transport->protocol_paused)
    return 0;
  transport->protocol_paused = false;
  return tell(transport, transport->loop->state->str_resume_writing, "protocol.resume_writing() failed");
}

/* The number `high` unless it is given, as asyncio makes it of `low`; and the other way round. */
static int complete(PyObject **high, PyObject **low) {
  PyObject *factor = PyLong_FromLong(4);

  if (factor == NULL)
    return -1;
  if (*high != Py_None)
    Py_INCREF(*high);
  else
    *high = *low == Py_None ? PyLong_FromSize_t(FLOW_DEFAULT_HIGH) : PyNumber_Multiply(factor, *low);
  if (*low != Py_None)
    Py_INCREF(*low);
  else
    *low = *high != NULL ? PyNumber_FloorDivide(*high, factor) : NULL;
  Py_DECREF(factor);
  if (*high != NULL && *low != NULL)
    return 0;
  Py_CLEAR(*high);
  Py_CLEAR(*low);
  return -1;
}

/* Whether high >= low >= 0; -1 with an exception. */
static int in_order(PyObject *high, PyObject *low) {
  PyObject *zero = PyLong_FromLong(0);
  int order = zero != NULL ? PyObject_RichCompareBool(high, low, Py_GE) : -1;

  if (order > 0)
    order = PyObject_RichCompareBool(low, zero, Py_GE);
  Py_XDECREF(zero);
  return order;
}

/* The largest size that is not above a limit, which is a number that is not negative. Returns 0, or -1 with an
   exception. */
static int size_of_limit(PyObject *limit, size_t *size) {
  PyObject *whole = PyNumber_Long(limit);

  if (whole != NULL) {
    *size = PyLong_AsSize_t(whole);
    Py_DECREF(whole);
  }
  if (!PyErr_Occurred())
    return 0;
  if (!PyErr_ExceptionMatches(PyExc_OverflowError)) /* too large, or infinite */
    return -1;
  PyErr_Clear();
  *size = SIZE_MAX;
  return 0;
}

const char flow_set_limits_doc[] =
    "set_write_buffer_limits($self, /, high=None, low=None)\n--\n\n"
    "Set of how many queued bytes on the protocol is paused, and down to how many it is resumed.";

PyObject *flow_set_limits(PyObject *self, PyObject *args, PyObject *keywords) {
  static const char *const names[] = {"high", "low", NULL};
  struct transport *transport = as_transport(self);
  PyObject *high = Py_None, *low = Py_None, *limits = NULL;
  size_t high_water, low_water;
  int order;

  if (!PyArg_ParseTupleAndKeywords(args, keywords, "|OO:set_write_buffer_limits", (char **)(uintptr_t)names, &high,
                                   &low) ||
      complete(&high, &low) < 0)
    return NULL;
  if ((order = in_order(high, low)) == 0)
    PyErr_Format(PyExc_ValueError, "high (%R) must be >= low (%R) must be >= 0", high, low);
  if (order > 0 && size_of_limit(high, &high_water) == 0 && size_of_limit(low, &low_water) == 0)
    limits = PyTuple_Pack(2, low, high);
  Py_DECREF(high);
  Py_DECREF(low);
  if (limits == NULL)
    return NULL;
  transport->high_water = high_water;
  transport->low_water = low_water;
  Py_XSETREF(transport->limits, limits);
  if (flow_queue_grew(transport) < 0)
    return NULL;
  Py_RETURN_NONE;
}

const char flow_get_limits_doc[] =
    "get_write_buffer_limits($self, /)\n--\n\nThe limits of the queue: (low, high), in bytes.";

PyObject *flow_get_limits(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct transport *transport = as_transport(self);

  if (transport->limits != NULL)
    return Py_NewRef(transport->limits);
  return Py_BuildValue("(nn)", (Py_ssize_t)transport->low_water, (Py_ssize_t)transport->high_water);
}

const char flow_get_size_doc[] = "get_write_buffer_size($self, /)\n--\n\nHow many bytes are queued.";

PyObject *flow_get_size(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return PyLong_FromSize_t(as_transport(self)->queue.bytes);
}
