/* The path of writing: what is written is tried at once, if nothing is queued; what the kernel does not take is queued,
   and written when it can be. */

#include "writing.h"

#include <errno.h>
#include <sys/uio.h>

#include "compat.h"
#include "flow.h"
#include "loop.h"
#include "transport.h"

#define VECTOR_SIZE ((size_t)1024) /* what Linux takes in one call: IOV_MAX */
#define QUIET_LATE_WRITES 5u       /* so many writes after the loss of the connection are not warned of */

/* The memory of something that is to be written. */
struct span {
  const char *start;
  size_t size;
  PyObject *bytes; /* borrowed: the immutable object that the memory is of, or NULL */
  Py_buffer view;  /* in use if view.obj is not NULL */
};

static struct transport *as_transport(PyObject *self) { return (struct transport *)self; }

void writing_release(void *owner) { Py_DECREF((PyObject *)owner); }

/* Looks at the memory of an object. Returns 0, or -1 with an exception if it is not in one piece. */
static int span_open(struct span *span, PyObject *data) {
  span->view.obj = NULL;
  span->bytes = NULL;
  if (PyBytes_CheckExact(data)) {
    span->bytes = data;
    span->start = PyBytes_AS_STRING(data);
    span->size = (size_t)PyBytes_GET_SIZE(data);
    return 0;
  }
  if (PyObject_GetBuffer(data, &span->view, PyBUF_SIMPLE) < 0) {
    span->view.obj = NULL;
    return -1;
  }
  span->start = span->view.buf;
  span->size = (size_t)span->view.len;
  if (PyMemoryView_Check(data)) {
    PyObject *viewed = PyMemoryView_GET_BASE(data);
    if (viewed != NULL && PyBytes_CheckExact(viewed))
      span->bytes = viewed;
  }
  return 0;
}

/* Leaves an exception that is set alone. */
static void span_close(struct span *span) {
  PyObject *exception;

  if (span->view.obj == NULL)
    return;
  exception = take_exception();
  PyBuffer_Release(&span->view);
  give_exception(exception);
}

/* Appends what is left of a span to the queue. */
static int queue_rest(struct transport *transport, const struct span *span, size_t written) {
  const char *start = span->start + written;
  size_t size = span->size - written;
  PyObject *owner;

  if (size == 0)
    return 0;
  if (span->bytes != NULL) {
    owner = Py_NewRef(span->bytes);
  } else { /* it may change before it is written */
    if ((owner = PyBytes_FromStringAndSize(start, (Py_ssize_t)size)) == NULL)
      return -1;
    start = PyBytes_AS_STRING(owner);
  }
  if (write_queue_push(&transport->queue, start, size, owner) == 0)
    return 0;
  Py_DECREF(owner);
  PyErr_NoMemory();
  return -1;
}

/* The result of a call of the kernel: how many bytes it took, -1 for an error with an exception. */
static ssize_t taken(ssize_t count) {
  if (count >= 0)
    return count;
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
    return 0;
  PyErr_SetFromErrno(PyExc_OSError);
  return -1;
}

/* Offers spans to the kernel, as long as nothing is queued. As taken(). */
static ssize_t offer(struct transport *transport, const struct span *spans, size_t count) {
  struct iovec vector[VECTOR_SIZE];

  if (transport->queue.count > 0)
    return 0;
  if (!transport_owns_fd(transport)) {
    errno = EBADF;
    return taken(-1);
  }
  if (count == 1)
    return taken(transport->kind->send(transport->fd, spans->start, spans->size));
  for (size_t i = 0; i < count; i++)
    vector[i] = (struct iovec){(void *)(uintptr_t)spans[i].start, spans[i].size}; /* only read */
  return taken(transport->kind->send_vector(transport->fd, vector, count));
}

/* Has the loop tell us when the descriptor can be written to. */
static int watch(struct transport *transport) {
  PyObject *context;

  if (transport->writing.watched)
    return 0;
  if ((context = transport_new_context(transport)) == NULL)
    return -1;
  Py_XSETREF(transport->write_context, context);
  return pollee_watch(transport->loop, &transport->writing, transport->fd, POLL_WRITE);
}

/* Queues what was not written of spans. Returns 0, or -1 with an exception. */
static int queue_all(struct transport *transport, const struct span *spans, size_t count, size_t written) {
  if (watch(transport) < 0)
    return -1;
  for (size_t i = 0; i < count && !transport->lost; i++) {
    size_t of_this = written < spans[i].size ? written : spans[i].size;

    if (queue_rest(transport, &spans[i], of_this) < 0)
      return -1;
    written -= of_this;
  }
  return 0;
}

/* After an error of the kernel, of an object whose memory cannot be written, or for want of memory. */
static int failed(struct transport *transport) {
  if (!transport->kind->half_open_writes)
    transport->lost_writes++;
  return transport_fatal(transport, transport->kind->write_failed);
}

/* Writes or queues spans, and closes them. Returns 0, or -1 with an exception. */
static int put(struct transport *transport, struct span *spans, size_t count) {
  size_t size = 0;
  ssize_t written;
  int queued = 0;

  for (size_t i = 0; i < count; i++)
    size += spans[i].size;
  written = offer(transport, spans, count);
  if (written >= 0 && (size_t)written < size)
    queued = queue_all(transport, spans, count, (size_t)written);
  for (size_t i = 0; i < count; i++)
    span_close(&spans[i]);
  return written < 0 || queued < 0 ? failed(transport) : 0; /* part of the data would be missing in the stream */
}

/* Whether data comes too late; from the sixth time on that is logged. Returns -1 with an exception. */
static int is_late(struct transport *transport) {
  if (!transport->lost && (!transport->closing || transport->kind->half_open_writes))
    return 0;
  if (transport->lost_writes++ < QUIET_LATE_WRITES)
    return 1;
  return transport_warn(transport, transport->kind->write_after_loss) < 0 ? -1 : 1;
}

static PyObject *none_or_error(int result) {
  if (result < 0)
    return NULL;
  Py_RETURN_NONE;
}

const char writing_write_doc[] =
    "write($self, data, /)\n--\n\nWrite bytes, a bytearray or a memoryview; what cannot be written yet is queued.";

PyObject *writing_write(PyObject *self, PyObject *data) {
  struct transport *transport = as_transport(self);
  struct span span;
  int late, is_data;

  if (!PyBytes_Check(data) && !PyByteArray_Check(data) && !PyMemoryView_Check(data))
    return transport->kind->refuse(data);
  if (transport->eof) {
    PyErr_SetString(PyExc_RuntimeError, "Cannot call write() after write_eof()");
    return NULL;
  }
  if ((is_data = PyObject_IsTrue(data)) <= 0)
    return none_or_error(is_data);
  if ((late = is_late(transport)) != 0)
    return none_or_error(late);
  if (span_open(&span, data) < 0)
    return none_or_error(failed(transport));
  if (put(transport, &span, 1) < 0)
    return NULL;
  return none_or_error(flow_queue_grew(transport));
}

/* The objects of writelines(), each of which has memory to write. Returns a new tuple, or NULL with an exception. */
static PyObject *lines_of(PyObject *list) {
  PyObject *lines = PySequence_Tuple(list);

  for (Py_ssize_t i = 0; lines != NULL && i < PyTuple_GET_SIZE(lines); i++) {
    PyObject *line = PyTuple_GET_ITEM(lines, i);

    if (PyObject_CheckBuffer(line))
      continue;
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_Format(PyExc_TypeError, "memoryview: a bytes-like object is required, not '%.200s'", Py_TYPE(line)->tp_name);
#else
    PyErr_Format(PyExc_TypeError, "sequence item %zd: expected a bytes-like object, %.80s found", i,
                 Py_TYPE(line)->tp_name);
#endif
    Py_CLEAR(lines);
  }
  return lines;
}

/* Writes or queues the lines, as many at once as the kernel takes. */
static int put_lines(struct transport *transport, PyObject *lines) {
  size_t count = (size_t)PyTuple_GET_SIZE(lines), room = count < VECTOR_SIZE ? count : VECTOR_SIZE, next = 0;
  struct span *spans = PyMem_Malloc((room ? room : 1) * sizeof(*spans));
  int result = 0;

  if (spans == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  while (result == 0 && next < count && !transport->lost) {
    size_t opened = 0;
    bool whole = true;

    for (; whole && opened < room && next < count; next++) {
      whole = span_open(&spans[opened], PyTuple_GET_ITEM(lines, (Py_ssize_t)next)) == 0;
      if (whole && spans[opened].size > 0)
        opened++;
      else if (whole)
        span_close(&spans[opened]);
    }
    if (!whole) {
      for (size_t i = 0; i < opened; i++)
        span_close(&spans[i]);
      result = failed(transport);
    } else if (opened > 0) {
      result = put(transport, spans, opened);
    }
  }
  PyMem_Free(spans);
  return result;
}

const char writing_writelines_doc[] =
    "writelines($self, list_of_data, /)\n--\n\nWrite bytes-like objects one behind the other.";

PyObject *writing_writelines(PyObject *self, PyObject *list) {
  struct transport *transport = as_transport(self);
  PyObject *lines;
  int late, result = 0;

  if (transport->eof) {
    PyErr_SetString(PyExc_RuntimeError, "Cannot call writelines() after write_eof()");
    return NULL;
  }
  if ((lines = lines_of(list)) == NULL)
    return NULL;
  if (PyTuple_GET_SIZE(lines) == 0 || (late = is_late(transport)) > 0)
    result = 0;
  else if (late == 0)
    result = put_lines(transport, lines);
  else
    result = -1;
  Py_DECREF(lines);
  if (result < 0)
    return NULL;
  return none_or_error(transport->lost ? 0 : flow_queue_grew(transport));
}

/* Writes the oldest bytes of the queue. */
static int write_queued(struct transport *transport) {
  struct iovec vector[VECTOR_SIZE];
  size_t count = write_queue_describe(&transport->queue, vector, VECTOR_SIZE);
  ssize_t written = -1;

  errno = EBADF;
  if (transport_owns_fd(transport))
    written = count == 1 ? transport->kind->send(transport->fd, vector->iov_base, vector->iov_len)
                         : transport->kind->send_vector(transport->fd, vector, count);
  written = taken(written);
  if (written < 0)
    return failed(transport);
  write_queue_consume(&transport->queue, (size_t)written, writing_release);
  return flow_queue_shrank(transport);
}

/* Writes what is queued; when that is all, ends what waited for it. */
static int flush(struct transport *transport) {
  if (transport->queue.count > 0 && write_queued(transport) < 0)
    return -1;
  if (transport->queue.count > 0 || transport->lost)
    return 0;
  pollee_unwatch(transport->loop, &transport->writing);
  Py_CLEAR(transport->write_context);
  if (transport->closing)
    return transport_lose(transport, Py_None);
  return transport->eof ? transport->kind->end_stream(transport) : 0;
}

int writing_on_writable(struct loop *loop, struct pollee *pollee) {
  struct transport *transport = transport_of_writing(pollee);
  PyObject *context = Py_NewRef(transport->write_context);
  int result;

  (void)loop;
  if (PyContext_Enter(context) < 0) {
    result = failed(transport);
  } else {
    result = flush(transport);
    if (PyContext_Exit(context) < 0)
      result = -1;
  }
  Py_DECREF(context);
  return result;
}

const char writing_can_write_eof_doc[] = "can_write_eof($self, /)\n--\n\nTrue: write_eof() is there.";

PyObject *writing_can_write_eof(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) { Py_RETURN_TRUE; }

const char writing_abort_doc[] = "abort($self, /)\n--\n\nClose at once; what is queued is lost.";

PyObject *writing_abort(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return none_or_error(transport_lose(as_transport(self), Py_None));
}

/* abort() with an exception for connection_lost(): asyncio's SSLProtocol calls it. */
PyObject *writing_force_close(PyObject *self, PyObject *exception) {
  return none_or_error(transport_lose(as_transport(self), exception));
}
