/* report_crashes(): a fatal signal is reported to a descriptor before it has its way. */
#include "module.h"

#include <errno.h>
#include <unistd.h>

#include "crash.h"

PyDoc_STRVAR(
    report_crashes_doc,
    "report_crashes($module, /, fd)\n--\n\n"
    "Write a C backtrace to a descriptor when a fatal signal comes (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT).\n\n"
    "Before it comes a line that names the GuardedBuffer and the offset, if the access to one was the reason.\n"
    "What handled the signal before, as faulthandler does, has its turn after it. Call it after\n"
    "faulthandler.enable(), whose stack for signals is used. The descriptor has to stay open.\n\n"
    "Raises OSError if the descriptor is not open.");

static PyObject *report_crashes(PyObject *module, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"fd", NULL};
  int descriptor;
  (void)module;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i:report_crashes", names, &descriptor)) {
    return NULL;
  }
  if (write(descriptor, "", 0) < 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  errno = fk_crash_report_to(descriptor);
  if (errno != 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  Py_RETURN_NONE;
}

PyMethodDef fk_crash_methods[] = {
    {"report_crashes", (PyCFunction)(void (*)(void))report_crashes, METH_VARARGS | METH_KEYWORDS, report_crashes_doc},
    {NULL, NULL, 0, NULL},
};
