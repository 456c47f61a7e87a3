/* descriptors(), threads(), children(): what this process has at the moment, exactly and cheaply. */
#include "module.h"

#include "procfs.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define TARGET 4096
#define CHILDREN 65536
#define PYTHON_ERROR 1
#define STATUS 1024

static PyObject *finish(PyObject *result, int outcome, const char *path) {
  if (outcome == 0) {
    return result;
  }
  if (outcome < 0) {
    PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
  }
  Py_XDECREF(result);
  return NULL;
}

static int add_descriptor(long number, int directory, void *context) {
  char name[24];
  char target[TARGET];
  (void)snprintf(name, sizeof name, "%ld", number);
  ssize_t size = readlinkat(directory, name, target, sizeof target);
  if (size < 0) {
    return 0; /* closed meanwhile by another thread */
  }
  PyObject *key = PyLong_FromLong(number);
  PyObject *value = PyUnicode_DecodeFSDefaultAndSize(target, size);
  int outcome = key == NULL || value == NULL ? -1 : PyDict_SetItem(context, key, value);
  Py_XDECREF(key);
  Py_XDECREF(value);
  return outcome < 0 ? PYTHON_ERROR : 0;
}

static PyObject *descriptors(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  PyObject *result = PyDict_New();
  if (result == NULL) {
    return NULL;
  }
  return finish(result, fk_walk("/proc/self/fd", add_descriptor, result), "/proc/self/fd");
}

static int add_to_list(PyObject *list, long number) {
  PyObject *value = PyLong_FromLong(number);
  int outcome = value == NULL ? -1 : PyList_Append(list, value);
  Py_XDECREF(value);
  return outcome < 0 ? PYTHON_ERROR : 0;
}

static int add_thread(long number, int directory, void *context) {
  (void)directory;
  return add_to_list(context, number);
}

/* Turn a new list (NULL: an exception is set) into a frozenset. */
static PyObject *frozen(PyObject *list) {
  PyObject *result = list == NULL ? NULL : PyFrozenSet_New(list);
  Py_XDECREF(list);
  return result;
}

static PyObject *list_of_threads(void) {
  PyObject *list = PyList_New(0);
  if (list == NULL) {
    return NULL;
  }
  return finish(list, fk_walk("/proc/self/task", add_thread, list), "/proc/self/task");
}

static PyObject *threads(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  return frozen(list_of_threads());
}

/* Whether this process has any child, dead or alive; one system call. */
static bool has_children(void) {
  siginfo_t ignored;
  return waitid(P_ALL, 0, &ignored, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

/* Add the children of one thread. Returns 0, PYTHON_ERROR, or -1 with errno set: the kernel does not tell. */
static int add_children_of(long thread, PyObject *list, char *text) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/self/task/%ld/children", thread);
  if (fk_read_file(path, text, CHILDREN) < 0) {
    return errno == ESRCH ? 0 : -1;
  }
  char *at = text;
  for (;;) {
    char *end;
    long child = strtol(at, &end, 10);
    if (end == at) {
      return 0;
    }
    if (add_to_list(list, child) != 0) {
      return PYTHON_ERROR;
    }
    at = end;
  }
}

struct search {
  PyObject *list;
  long parent;
};

/* Add a process whose parent is the one searched for. */
static int add_if_child(long process, int directory, void *context) {
  struct search *search = context;
  char path[64];
  char text[STATUS];
  (void)directory;
  (void)snprintf(path, sizeof path, "/proc/%ld/stat", process);
  if (fk_read_file(path, text, sizeof text) < 0) {
    return 0;
  }
  const char *after_name = strrchr(text, ')');
  long parent;
  if (after_name == NULL || sscanf(after_name, ") %*c %ld", &parent) != 1 || parent != search->parent) {
    return 0;
  }
  return add_to_list(search->list, process);
}

static int add_children(PyObject *list, PyObject *all_threads, char *text) {
  int outcome = 0;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(all_threads) && outcome == 0; i++) {
    outcome = add_children_of(PyLong_AsLong(PyList_GET_ITEM(all_threads, i)), list, text);
  }
  if (outcome >= 0) {
    return outcome;
  }
  struct search search = {list, getpid()}; /* a kernel without CONFIG_PROC_CHILDREN */
  if (PyList_SetSlice(list, 0, PyList_GET_SIZE(list), NULL) < 0) {
    return PYTHON_ERROR;
  }
  return fk_walk("/proc", add_if_child, &search);
}

static PyObject *children(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  PyObject *list = PyList_New(0);
  if (list == NULL || !has_children()) {
    return frozen(list);
  }
  PyObject *all_threads = list_of_threads();
  char *text = PyMem_Malloc(CHILDREN);
  if (all_threads == NULL || text == NULL) {
    if (all_threads != NULL) {
      PyErr_NoMemory();
    }
    Py_CLEAR(list);
  } else {
    list = finish(list, add_children(list, all_threads, text), "/proc");
  }
  PyMem_Free(text);
  Py_XDECREF(all_threads);
  return frozen(list);
}

PyDoc_STRVAR(descriptors_doc, "descriptors($module, /)\n--\n\n"
                              "Return a dict of the open descriptors of this process: number to what it is open on.\n\n"
                              "The text is the kernel's: a path, 'socket:[INODE]', 'pipe:[INODE]',\n"
                              "'anon_inode:[eventpoll]'. Raises OSError where /proc is not there.");
PyDoc_STRVAR(threads_doc, "threads($module, /)\n--\n\n"
                          "Return a frozenset of the native ids of the threads of this process, whoever made them.");
PyDoc_STRVAR(children_doc, "children($module, /)\n--\n\n"
                           "Return a frozenset of the process ids of the children of this process, those that have\n"
                           "ended and were not waited for included.");

PyMethodDef fk_observer_methods[] = {
    {"descriptors", descriptors, METH_NOARGS, descriptors_doc},
    {"threads", threads, METH_NOARGS, threads_doc},
    {"children", children, METH_NOARGS, children_doc},
    {NULL, NULL, 0, NULL},
};
