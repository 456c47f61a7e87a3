/* threads(), children(): which threads and children this process has at the moment, and one of them in full. */
#include "module.h"

#include "procfs.h"
#include "procstat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASKS "/proc/self/task"
#define PATH_SIZE 64
#define PYTHON_ERROR 1

PyStructSequence_Desc fk_thread_description = {
    .name = "loopproof.faultkit.Thread",
    .doc = "A thread of this process.",
    .fields =
        (PyStructSequence_Field[]){
            {"number", "its native id"},
            {"name", "as the kernel has it: at most 15 bytes"},
            {"state", "'running', 'sleeping', 'waiting' (for a device), 'stopped', 'zombie', ..."},
            {NULL, NULL},
        },
    .n_in_sequence = 3,
};

PyStructSequence_Desc fk_child_description = {
    .name = "loopproof.faultkit.Child",
    .doc = "A child of this process.",
    .fields =
        (PyStructSequence_Field[]){
            {"number", "the process id"},
            {"name", "as the kernel has it: at most 15 bytes"},
            {"state", "'running', 'sleeping', 'zombie' (ended and not waited for), ..."},
            {"command", "tuple of the command and its arguments; empty for a zombie"},
            {NULL, NULL},
        },
    .n_in_sequence = 4,
};

static const char *name_of_state(char state) {
  switch (state) {
  case 'R':
    return "running";
  case 'S':
    return "sleeping";
  case 'D':
    return "waiting";
  case 'T':
  case 't':
    return "stopped";
  case 'Z':
    return "zombie";
  case 'X':
    return "dead";
  default:
    return "idle";
  }
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

/* `outcome`: 0, PYTHON_ERROR, or -1 with errno set. Takes the list, and gives it back or raises what happened. */
static PyObject *finish(PyObject *list, int outcome, const char *path) {
  if (outcome == 0) {
    return list;
  }
  if (outcome < 0) {
    PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
  }
  Py_XDECREF(list);
  return NULL;
}

/* Turn a new list (NULL: an exception is set) into a frozenset. */
static PyObject *frozen(PyObject *list) {
  PyObject *result = list == NULL ? NULL : PyFrozenSet_New(list);
  Py_XDECREF(list);
  return result;
}

static PyObject *list_of_threads(void) {
  PyObject *list = PyList_New(0);
  return list == NULL ? NULL : finish(list, fk_walk(TASKS, add_thread, list), TASKS);
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
static int add_children_of(long thread, PyObject *list) {
  char path[PATH_SIZE];
  (void)snprintf(path, sizeof path, TASKS "/%ld/children", thread);
  char *text = fk_read_whole(path, NULL);
  if (text == NULL) {
    return errno == ESRCH ? 0 : -1; /* the thread has ended meanwhile */
  }
  int outcome = 0;
  char *end;
  for (char *at = text; outcome == 0; at = end) {
    long child = strtol(at, &end, 10);
    if (end == at) {
      break;
    }
    outcome = add_to_list(list, child);
  }
  free(text);
  return outcome;
}

struct search {
  PyObject *list;
  long parent;
};

/* Add a process whose parent is the one searched for. */
static int add_if_child(long process, int directory, void *context) {
  struct search *search = context;
  struct fk_task task;
  char path[PATH_SIZE];
  size_t size;
  (void)directory;
  (void)snprintf(path, sizeof path, "/proc/%ld/stat", process);
  char *text = fk_read_whole(path, &size);
  bool is_child = text != NULL && fk_read_task(text, size, &task) && task.parent == search->parent;
  free(text);
  return is_child ? add_to_list(search->list, process) : 0;
}

static int add_children(PyObject *list, PyObject *all_threads) {
  int outcome = 0;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(all_threads) && outcome == 0; i++) {
    outcome = add_children_of(PyLong_AsLong(PyList_GET_ITEM(all_threads, i)), list);
  }
  if (outcome >= 0 || errno != ENOENT) {
    return outcome;
  }
  struct search search = {list, getpid()}; /* a kernel without CONFIG_PROC_CHILDREN */
  if (PyList_SetSlice(list, 0, PyList_GET_SIZE(list), NULL) < 0) {
    return PYTHON_ERROR;
  }
  return fk_walk("/proc", add_if_child, &search);
}

static PyObject *children(PyObject *module, PyObject *unused) {
  PyObject *list = PyList_New(0);
  (void)module;
  (void)unused;
  if (list != NULL && has_children()) {
    PyObject *all_threads = list_of_threads();
    list = finish(list, all_threads == NULL ? PYTHON_ERROR : add_children(list, all_threads), "/proc");
    Py_XDECREF(all_threads);
  }
  return frozen(list);
}

/* Read a stat file. Returns memory for the caller to free, or NULL with an exception set that names the file. */
static char *read_task(const char *path, struct fk_task *task) {
  size_t size;
  char *text = fk_read_whole(path, &size);
  if (text == NULL) {
    PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
  } else if (!fk_read_task(text, size, task)) {
    PyErr_Format(PyExc_OSError, "%s does not read as proc(5) says", path);
    free(text);
    text = NULL;
  }
  return text;
}

/* A number of a thread or process. Returns -1 with an exception set. */
static long number_of(PyObject *argument) {
  long number = PyLong_AsLong(argument);
  if (number < 1 && PyErr_Occurred() == NULL) {
    PyErr_Format(PyExc_ValueError, "the number of a thread or process must be positive, not %R", argument);
  }
  return PyErr_Occurred() != NULL ? -1 : number;
}

static PyObject *name_of(const struct fk_task *task) {
  return PyUnicode_DecodeFSDefaultAndSize(task->name, (Py_ssize_t)task->name_size);
}

static PyObject *thread(PyObject *module, PyObject *argument) {
  struct fk_module *state = PyModule_GetState(module);
  struct fk_task task;
  char path[PATH_SIZE];
  long number = number_of(argument);
  if (number < 0) {
    return NULL;
  }
  (void)snprintf(path, sizeof path, TASKS "/%ld/stat", number);
  char *text = read_task(path, &task);
  if (text == NULL) {
    return NULL;
  }
  PyObject *const values[] = {
      PyLong_FromLong(number),
      name_of(&task),
      PyUnicode_FromString(name_of_state(task.state)),
  };
  free(text);
  return fk_struct_of(state->observed[FK_THREAD], values, sizeof values / sizeof *values);
}

/* The command of a process with its arguments, a new tuple; NULL with an exception set. */
static PyObject *command_of(long process) {
  char path[PATH_SIZE];
  size_t size;
  (void)snprintf(path, sizeof path, "/proc/%ld/cmdline", process);
  char *text = fk_read_whole(path, &size);
  if (text == NULL) {
    return PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
  }
  PyObject *list = PyList_New(0);
  for (const char *at = text; list != NULL && at < text + size; at += strlen(at) + 1) {
    PyObject *argument = PyUnicode_DecodeFSDefault(at);
    if (argument == NULL || PyList_Append(list, argument) < 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(argument);
  }
  free(text);
  PyObject *result = list == NULL ? NULL : PyList_AsTuple(list);
  Py_XDECREF(list);
  return result;
}

static PyObject *child(PyObject *module, PyObject *argument) {
  struct fk_module *state = PyModule_GetState(module);
  struct fk_task task;
  char path[PATH_SIZE];
  long number = number_of(argument);
  if (number < 0) {
    return NULL;
  }
  (void)snprintf(path, sizeof path, "/proc/%ld/stat", number);
  char *text = read_task(path, &task);
  if (text == NULL) {
    return NULL;
  }
  if (task.parent != getpid()) {
    free(text);
    PyErr_Format(PyExc_ChildProcessError, "process %ld is no child of this one", number);
    return NULL;
  }
  PyObject *const values[] = {
      PyLong_FromLong(number),
      name_of(&task),
      PyUnicode_FromString(name_of_state(task.state)),
      command_of(number),
  };
  free(text);
  return fk_struct_of(state->observed[FK_CHILD], values, sizeof values / sizeof *values);
}

PyDoc_STRVAR(threads_doc, "threads($module, /)\n--\n\n"
                          "Return a frozenset of the native ids of the threads of this process, whoever made them.\n\n"
                          "Raises OSError where /proc is not there, or is not to be read.");
PyDoc_STRVAR(thread_doc, "thread($module, number, /)\n--\n\n"
                         "Return a Thread that tells of a thread of this process, by its native id.\n\n"
                         "Raises OSError if there is none, or where /proc is not there.");
PyDoc_STRVAR(children_doc, "children($module, /)\n--\n\n"
                           "Return a frozenset of the process ids of the children of this process, those that have\n"
                           "ended and were not waited for included. Raises OSError where /proc is not there.");
PyDoc_STRVAR(child_doc, "child($module, number, /)\n--\n\n"
                        "Return a Child that tells of a child of this process, by its process id.\n\n"
                        "Raises ChildProcessError if it is none; FileNotFoundError or ProcessLookupError if there is\n"
                        "no such process, or it belongs to another user and /proc (hidepid) does not tell.");

PyMethodDef fk_process_methods[] = {
    {"threads", threads, METH_NOARGS, threads_doc},
    {"thread", thread, METH_O, thread_doc},
    {"children", children, METH_NOARGS, children_doc},
    {"child", child, METH_O, child_doc},
    {NULL, NULL, 0, NULL},
};
