/* available(), call_groups(), plausible_errors(): what the kernel lets the kit do, and the calls that faults are for.
 */
#include "module.h"

#include "filter.h"

#include <errno.h>

PyObject *fk_refusal(int error) {
  switch (error) {
  case ENOSYS:
    return PyUnicode_FromString("the kernel has no seccomp filters with user notification for this architecture");
  case EINVAL:
    return PyUnicode_FromString("the kernel has no seccomp user notification that lets calls go on (Linux 5.5)");
  case EOPNOTSUPP:
    return PyUnicode_FromString("the kernel lets signals undo calls that were taken up (Linux 5.19 can keep them off)");
  case EPERM:
  case EACCES:
    return PyUnicode_FromString("seccomp filters are forbidden here, perhaps by the container");
  case EBUSY:
    return PyUnicode_FromString("somebody listens to this thread's system calls already: an injector that it or the "
                                "thread that started it has installed, or the container");
  default:
    return PyUnicode_FromString(strerror(error));
  }
}

/* Set a key to None if there is no error, else to the reason. */
static int tell(PyObject *result, const char *feature, int error) {
  PyObject *reason = error == 0 ? Py_NewRef(Py_None) : fk_refusal(error);
  int outcome = reason == NULL ? -1 : PyDict_SetItemString(result, feature, reason);
  Py_XDECREF(reason);
  return outcome;
}

static PyObject *available(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  PyObject *result = PyDict_New();
  if (result == NULL || tell(result, "injector", fk_filter_probe(false)) < 0 ||
      tell(result, "short", fk_filter_probe(true)) < 0) {
    Py_CLEAR(result);
  }
  return result;
}

static PyObject *errors_of(const struct fk_call *call) {
  PyObject *list = PyList_New(0);
  for (const int *error = call->errors; list != NULL && *error != 0; error++) {
    PyObject *name = fk_error_name(*error);
    if (name == NULL || PyList_Append(list, name) < 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(name);
  }
  PyObject *errors = list == NULL ? NULL : PyList_AsTuple(list);
  Py_XDECREF(list);
  return errors;
}

static PyObject *plausible_errors(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  PyObject *result = PyDict_New();
  for (size_t i = 0; result != NULL && i < fk_call_count; i++) {
    if (fk_calls[i].number >= 0) {
      PyObject *errors = errors_of(&fk_calls[i]);
      if (errors == NULL || PyDict_SetItemString(result, fk_calls[i].name, errors) < 0) {
        Py_CLEAR(result);
      }
      Py_XDECREF(errors);
    }
  }
  return result;
}

/* Names of the calls of a group. */
static PyObject *members_of(const char *group) {
  PyObject *list = PyList_New(0);
  for (size_t i = 0; list != NULL && i < fk_call_count; i++) {
    if (fk_calls[i].number >= 0 && strcmp(fk_calls[i].group, group) == 0) {
      PyObject *name = PyUnicode_FromString(fk_calls[i].name);
      if (name == NULL || PyList_Append(list, name) < 0) {
        Py_CLEAR(list);
      }
      Py_XDECREF(name);
    }
  }
  PyObject *members = list == NULL ? NULL : PyList_AsTuple(list);
  Py_XDECREF(list);
  return members;
}

static PyObject *call_groups(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  PyObject *result = PyDict_New();
  for (size_t i = 0; result != NULL && i < fk_call_count; i++) {
    PyObject *members = members_of(fk_calls[i].group);
    if (members == NULL || PyDict_SetItemString(result, fk_calls[i].group, members) < 0) {
      Py_CLEAR(result);
    }
    Py_XDECREF(members);
  }
  return result;
}

PyDoc_STRVAR(
    available_doc,
    "available($module, /)\n--\n\n"
    "Return a dict of what the kernel may refuse to this thread: feature to the reason, None if it is there.\n\n"
    "'injector': Injector; 'short': its rules made by short().");
PyDoc_STRVAR(call_groups_doc, "call_groups($module, /)\n--\n\n"
                              "Return a dict of the groups of system calls that rules know: name to a tuple of calls.");
PyDoc_STRVAR(plausible_errors_doc,
             "plausible_errors($module, /)\n--\n\n"
             "Return a dict of the system calls that rules know: name to a tuple of the errors that it fails with in\n"
             "practice, whatever its caller does right.");

PyMethodDef fk_kernel_methods[] = {
    {"available", available, METH_NOARGS, available_doc},
    {"call_groups", call_groups, METH_NOARGS, call_groups_doc},
    {"plausible_errors", plausible_errors, METH_NOARGS, plausible_errors_doc},
    {NULL, NULL, 0, NULL},
};
