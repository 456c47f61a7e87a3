/* Watched descriptors: add_reader() and add_writer(). */

#include "watch.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "arguments.h"
#include "errors.h"
#include "loop.h"

#define READABLE 0
#define WRITABLE 1

static uint32_t events_of(const struct watched *entry) {
  return (entry->reader != NULL ? (uint32_t)EPOLLIN : 0) | (entry->writer != NULL ? (uint32_t)EPOLLOUT : 0);
}

/* Called by libuv during the poll; what is ready is taken after it, in watch_take_events(). */
static void on_ready(uv_poll_t *poll, int status, int events) {
  struct loop *loop = poll->data;

  (void)status;
  (void)events;
  loop->watch.pending = true;
}

/* Opens the epoll set and has libuv watch it. */
static int open_set(struct loop *loop) {
  struct watch *watch = &loop->watch;
  int error, set = epoll_create1(EPOLL_CLOEXEC);

  if (set < 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  error = uv_poll_init(&loop->uv, &watch->poll, set);
  if (error) {
    close(set);
    errors_raise_uv(error);
    return -1;
  }
  watch->poll.data = loop;
  watch->epoll = set; /* from here on watch_close() disposes of it */
  return 0;
}

/* Makes room for this descriptor in the tables. */
static int reserve(struct watch *watch, int fd) {
  if (fd >= watch->size) {
    size_t size = watch->size ? (size_t)watch->size : 64;
    struct watched *table;

    while (size <= (size_t)fd)
      size *= 2;
    table = size > INT_MAX ? NULL : PyMem_Realloc(watch->table, size * sizeof(*table));
    if (table == NULL) {
      PyErr_NoMemory();
      return -1;
    }
    memset(table + watch->size, 0, (size - (size_t)watch->size) * sizeof(*table));
    watch->table = table;
    watch->size = (int)size;
  }
  if (watch->count >= watch->events_size) {
    int size = watch->events_size ? watch->events_size * 2 : 16;
    struct epoll_event *events = PyMem_Realloc(watch->events, (size_t)size * sizeof(*events));
    if (events == NULL) {
      PyErr_NoMemory();
      return -1;
    }
    watch->events = events;
    watch->events_size = size;
  }
  return 0;
}

/* Has libuv watch the set if there is something in it. */
static int count_changed(struct loop *loop, int by) {
  struct watch *watch = &loop->watch;
  int error = 0;

  watch->count += by;
  if (by > 0 && watch->count == 1) {
    error = uv_poll_start(&watch->poll, UV_READABLE, on_ready);
    if (!error)
      loop->active++;
  } else if (by < 0 && watch->count == 0) {
    uv_poll_stop(&watch->poll);
    loop->active--;
  }
  if (!error)
    return 0;
  watch->count -= by;
  errors_raise_uv(error);
  return -1;
}

/* The descriptor that an argument stands for: an int, or an object with fileno(); one that was
   closed meanwhile is recognised. Returns -1 with an exception. */
static int descriptor_of(struct loop *loop, PyObject *object) {
  PyObject *number = object;
  long fd;

  if (!PyLong_Check(object)) {
    number = PyObject_CallMethodNoArgs(object, loop->state->str_fileno);
    if (number != NULL)
      Py_SETREF(number, PyNumber_Long(number));
    if (number == NULL) {
      if (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_TypeError) ||
          PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "Invalid file object: %R", object);
      }
      return -1;
    }
  } else {
    Py_INCREF(number);
  }
  fd = PyLong_AsLong(number);
  if (fd == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    fd = -1;
  }
  if (fd < 0 && !PyLong_Check(object)) {
    for (int known = 0; known < loop->watch.size && fd < 0; known++) {
      if (loop->watch.table[known].file == object)
        fd = known;
    }
  }
  if (fd < 0 || fd >= INT_MAX) {
    PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %S", number);
    fd = -1;
  }
  Py_DECREF(number);
  return (int)fd;
}

/* Puts a handle, or NULL, where the one for this direction is. Returns that one, or NULL. */
static struct handle *exchange(struct watched *entry, int direction, struct handle *handle) {
  struct handle **place = direction == READABLE ? &entry->reader : &entry->writer;
  struct handle *old = *place;

  *place = handle;
  return old;
}

/* Cancels a handle that is no longer watched, if there is one, and releases it. */
static void retire(struct handle *handle) {
  if (handle != NULL) {
    handle_cancel(handle);
    Py_DECREF(handle);
  }
}

/* Tells the kernel about a descriptor. Returns 0, or -1 with errno. */
static int control(struct watch *watch, int operation, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.fd = fd}};

  return epoll_ctl(watch->epoll, operation, fd, &event);
}

/* Starts to watch a descriptor that is in the table with no handle. Returns 0, or -1 with an
 * exception. */
static int watch_new(struct loop *loop, int fd, uint32_t events) {
  struct watch *watch = &loop->watch;

  if (control(watch, EPOLL_CTL_ADD, fd, events) < 0 &&
      (errno != EEXIST || control(watch, EPOLL_CTL_MOD, fd, events) < 0)) {
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  if (count_changed(loop, 1) < 0) {
    (void)control(watch, EPOLL_CTL_DEL, fd, 0);
    return -1;
  }
  return 0;
}

static PyObject *add(struct loop *loop, const struct call *call, int direction) {
  struct watch *watch = &loop->watch;
  uint32_t event = direction == READABLE ? EPOLLIN : EPOLLOUT, events;
  struct handle *handle, *old, *stale = NULL;
  PyObject *old_file;
  int fd, failed = 0;

  if (loop_check_open(loop) < 0 || (fd = descriptor_of(loop, call->first)) < 0)
    return NULL;
  if ((handle = handle_new(loop, call->callback, call->args, call->nargs, NULL)) == NULL)
    return NULL;
  if (loop_check_open(loop) < 0 || (watch->epoll < 0 && open_set(loop) < 0) || reserve(watch, fd) < 0) {
    Py_DECREF(handle);
    return NULL;
  }
  events = events_of(&watch->table[fd]);
  if (events != 0 && control(watch, EPOLL_CTL_MOD, fd, events | event) < 0) {
    /* what was watched under this number was closed meanwhile; it may belong to another file now */
    stale = exchange(&watch->table[fd], direction == READABLE ? WRITABLE : READABLE, NULL);
    (void)count_changed(loop, -1);
    events = 0;
  }
  if (events == 0)
    failed = watch_new(loop, fd, event);
  old = exchange(&watch->table[fd], direction, failed ? NULL : handle);
  old_file = watch->table[fd].file;
  watch->table[fd].file = failed || PyLong_Check(call->first) ? NULL : Py_NewRef(call->first);
  /* all is in order: what follows may run any code */
  if (failed)
    Py_DECREF(handle);
  retire(old);
  retire(stale);
  Py_XDECREF(old_file);
  if (failed)
    return NULL;
  Py_RETURN_NONE;
}

static PyObject *take_away(struct loop *loop, PyObject *object, int direction) {
  struct watch *watch = &loop->watch;
  struct watched *entry;
  struct handle *old;
  PyObject *file = NULL;
  int fd;

  if (loop->closed)
    Py_RETURN_FALSE;
  if ((fd = descriptor_of(loop, object)) < 0)
    return NULL;
  if (fd >= watch->size)
    Py_RETURN_FALSE;
  entry = &watch->table[fd];
  old = exchange(entry, direction, NULL);
  if (old == NULL)
    Py_RETURN_FALSE;
  /* the kernel refuses when the file is closed already: then it has forgotten it by itself */
  if (events_of(entry) != 0) {
    (void)control(watch, EPOLL_CTL_MOD, fd, events_of(entry));
  } else {
    (void)control(watch, EPOLL_CTL_DEL, fd, 0);
    (void)count_changed(loop, -1);
    file = entry->file;
    entry->file = NULL;
  }
  retire(old);
  Py_XDECREF(file);
  Py_RETURN_TRUE;
}

/* Queues a handle whose descriptor is ready. */
static int queue(struct loop *loop, struct handle *handle) {
  return handle != NULL && !handle->cancelled ? loop_queue(loop, handle) : 0;
}

int watch_take_events(struct loop *loop) {
  struct watch *watch = &loop->watch;
  int count;

  if (!watch->pending)
    return 0;
  watch->pending = false;
  if (watch->count == 0)
    return 0;
  count = epoll_wait(watch->epoll, watch->events, watch->events_size, 0);
  if (count < 0 && errno != EINTR) {
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  for (int i = 0; i < count; i++) {
    uint32_t events = watch->events[i].events;
    struct watched *entry = &watch->table[watch->events[i].data.fd];

    /* an error or a hang-up is told to both, as by asyncio */
    if ((events & ~(uint32_t)EPOLLOUT) && queue(loop, entry->reader) < 0)
      return -1;
    if ((events & ~(uint32_t)EPOLLIN) && queue(loop, entry->writer) < 0)
      return -1;
  }
  return 0;
}

void watch_close(struct loop *loop) {
  struct watch *watch = &loop->watch;

  if (watch->epoll < 0)
    return;
  if (watch->count > 0)
    loop->active--;
  watch->count = 0;
  watch->pending = false;
  uv_close((uv_handle_t *)&watch->poll, NULL);
}

void watch_closed(struct loop *loop) {
  if (loop->watch.epoll >= 0)
    close(loop->watch.epoll);
  loop->watch.epoll = -1;
}

int watch_traverse(struct watch *watch, visitproc visit, void *arg) {
  for (int fd = 0; fd < watch->size; fd++) {
    Py_VISIT((PyObject *)watch->table[fd].reader);
    Py_VISIT((PyObject *)watch->table[fd].writer);
    Py_VISIT(watch->table[fd].file);
  }
  return 0;
}

void watch_clear(struct watch *watch) {
  struct watched *table = watch->table;
  int size = watch->size;

  watch->table = NULL; /* first: releasing the handles may run code that comes back here */
  watch->size = 0;
  PyMem_Free(watch->events);
  watch->events = NULL;
  watch->events_size = 0;
  for (int fd = 0; fd < size; fd++) {
    Py_XDECREF(table[fd].reader);
    Py_XDECREF(table[fd].writer);
    Py_XDECREF(table[fd].file);
  }
  PyMem_Free(table);
}

/* The arguments of add_reader() and add_writer(). */
static PyObject *parse_and_add(PyObject *self, const char *method, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *keywords, int direction) {
  struct loop *loop = (struct loop *)self;
  struct signature signature = {method, loop->state->str_fd, false};
  struct call call;

  if (arguments_of_call(loop->state, &signature, args, nargs, keywords, &call) < 0)
    return NULL;
  return add(loop, &call, direction);
}

/* The argument of remove_reader() and remove_writer(). */
static PyObject *parse_and_take_away(PyObject *self, const char *method, PyObject *const *args, Py_ssize_t nargs,
                                     PyObject *keywords, int direction) {
  struct loop *loop = (struct loop *)self;
  PyObject *fd = arguments_only(method, loop->state->str_fd, args, nargs, keywords);

  return fd != NULL ? take_away(loop, fd, direction) : NULL;
}

PyDoc_STRVAR(add_reader_doc, "add_reader($self, fd, callback, *args)\n--\n\n"
                             "Call callback(*args) in each iteration in which fd is readable.");

static PyObject *add_reader(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  return parse_and_add(self, "add_reader", args, nargs, keywords, READABLE);
}

PyDoc_STRVAR(add_writer_doc, "add_writer($self, fd, callback, *args)\n--\n\n"
                             "Call callback(*args) in each iteration in which fd is writable.");

static PyObject *add_writer(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  return parse_and_add(self, "add_writer", args, nargs, keywords, WRITABLE);
}

PyDoc_STRVAR(remove_reader_doc, "remove_reader($self, fd)\n--\n\n"
                                "Stop watching fd for reading; returns whether it was watched.");

static PyObject *remove_reader(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  return parse_and_take_away(self, "remove_reader", args, nargs, keywords, READABLE);
}

PyDoc_STRVAR(remove_writer_doc, "remove_writer($self, fd)\n--\n\n"
                                "Stop watching fd for writing; returns whether it was watched.");

static PyObject *remove_writer(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  return parse_and_take_away(self, "remove_writer", args, nargs, keywords, WRITABLE);
}

PyMethodDef loop_watch_methods[] = {
    {"add_reader", WITH_KEYWORDS(add_reader), add_reader_doc},
    {"add_writer", WITH_KEYWORDS(add_writer), add_writer_doc},
    {"remove_reader", WITH_KEYWORDS(remove_reader), remove_reader_doc},
    {"remove_writer", WITH_KEYWORDS(remove_writer), remove_writer_doc},
    {NULL, NULL, 0, NULL},
};
