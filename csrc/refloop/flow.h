/* Flow control of writing: the water marks, between which the protocol is paused and resumed. */

#ifndef REFLOOP_FLOW_H
#define REFLOOP_FLOW_H

#include <Python.h>

struct transport;

#define FLOW_DEFAULT_HIGH ((size_t)64 * 1024)
#define FLOW_DEFAULT_LOW ((size_t)16 * 1024)

/* Both return 0, or -1 with an exception that is to leave the run, or the caller. */

/* To be called when the queue has grown: calls pause_writing() if it is above the high water mark now. */
int flow_queue_grew(struct transport *transport);

/* To be called when the queue has shrunk: calls resume_writing() if it is down at the low water mark. */
int flow_queue_shrank(struct transport *transport);

/* The methods of types that write. */
#define FLOW_METHODS                                                                                                   \
  {"set_write_buffer_limits", (PyCFunction)(void (*)(void))flow_set_limits, METH_VARARGS | METH_KEYWORDS,              \
   flow_set_limits_doc},                                                                                               \
      {"get_write_buffer_limits", flow_get_limits, METH_NOARGS, flow_get_limits_doc}, {                                \
    "get_write_buffer_size", flow_get_size, METH_NOARGS, flow_get_size_doc                                             \
  }

extern const char flow_set_limits_doc[], flow_get_limits_doc[], flow_get_size_doc[];
PyObject *flow_set_limits(PyObject *self, PyObject *args, PyObject *keywords);
PyObject *flow_get_limits(PyObject *self, PyObject *ignored);
PyObject *flow_get_size(PyObject *self, PyObject *ignored);

#endif
