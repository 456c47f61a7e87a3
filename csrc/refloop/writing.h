/* The path of writing, which all transports share. */

#ifndef REFLOOP_WRITING_H
#define REFLOOP_WRITING_H

#include <Python.h>

#include "callee.h"

struct loop;
struct transport;

/* For the pollee of a transport: writes what is queued. */
int writing_on_writable(struct loop *loop, struct pollee *pollee);

/* Releases what owns a piece in the queue. */
void writing_release(void *owner);

/* The methods of types that write. */
#define WRITING_METHODS                                                                                                \
  {"write", writing_write, METH_O, writing_write_doc},                                                                 \
      {"writelines", writing_writelines, METH_O, writing_writelines_doc},                                              \
      {"can_write_eof", writing_can_write_eof, METH_NOARGS, writing_can_write_eof_doc},                                \
      {"abort", writing_abort, METH_NOARGS, writing_abort_doc}, {                                                      \
    "_force_close", writing_force_close, METH_O, NULL                                                                  \
  }

extern const char writing_write_doc[], writing_writelines_doc[], writing_can_write_eof_doc[], writing_abort_doc[];
PyObject *writing_write(PyObject *self, PyObject *data);
PyObject *writing_writelines(PyObject *self, PyObject *list);
PyObject *writing_can_write_eof(PyObject *self, PyObject *ignored);
PyObject *writing_abort(PyObject *self, PyObject *ignored);
PyObject *writing_force_close(PyObject *self, PyObject *exception);

#endif
