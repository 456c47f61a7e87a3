/* Errors: of libuv as exceptions of Python, and of callbacks as reports to the loop. */

#include "errors.h"

#include <errno.h>

#include "compat.h"
#include "handle.h"
#include "loop.h"

PyObject *errors_raise_uv(int code) {
  errno = -code; /* on Unix the codes of libuv are negated errno values */
  return PyErr_SetFromErrno(PyExc_OSError);
}

bool errors_leave_run(void) {
  return PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) || PyErr_ExceptionMatches(PyExc_SystemExit);
}

int errors_report_callback(struct loop *loop, struct handle *handle) {
  PyObject *exception, *done;

  if (errors_leave_run())
    return -1;
  exception = take_exception();
  done = PyObject_CallMethodObjArgs((PyObject *)loop, loop->state->str_callback_failed, (PyObject *)handle, exception,
                                    NULL);
  Py_XDECREF(exception);
  if (done == NULL)
    return -1;
  Py_DECREF(done);
  return 0;
}
