/* The path of reading: one call of the kernel for each event, what it gave to the protocol. */

#include "reading.h"

#include <errno.h>

#include "compat.h"
#include "loop.h"
#include "transport.h"

#define SPARE_MIN ((size_t)512)      /* bytes; smaller objects are allocated quickly, or shared by the interpreter */
#define SPARE_MAX (READING_SIZE / 4) /* bytes; as much memory is not held without need */

static struct transport *as_transport(PyObject *self) { return (struct transport *)self; }

int reading_reserve(struct loop *loop) {
  if (loop->read_buffer == NULL && (loop->read_buffer = PyMem_Malloc(READING_SIZE)) == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  return 0;
}

static bool is_on(const struct transport *transport) { return !transport->closing && !transport->paused; }

int reading_start(struct transport *transport) {
  PyObject *context;

  if (!is_on(transport) || transport->ended)
    return 0;
  if ((context = transport_new_context(transport)) == NULL)
    return -1;
  Py_XSETREF(transport->read_context, context);
  return pollee_watch(transport->loop, &transport->reading, transport->fd, POLL_READ);
}

/* Reads into memory. Returns how many bytes; 0 at the end of the stream, -1 if there is nothing now, -2 after an error
   with an exception. */
static ssize_t receive(struct transport *transport, void *memory, size_t size) {
  ssize_t count = -1;

  errno = EBADF;
  if (transport_owns_fd(transport))
    count = transport->kind->receive(transport->fd, memory, size);
  if (count >= 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
    return count;
  PyErr_SetFromErrno(PyExc_OSError);
  return -2;
}

/* What all ways of reading do when there was no data. */
static int without_data(struct transport *transport, ssize_t count) {
  if (count == 0)
    return transport->kind->at_end(transport);
  return count == -1 ? 0 : transport_fatal(transport, transport->kind->read_failed);
}

/* Deals with what data_received() or buffer_updated() raised. */
static int data_failed(struct transport *transport, const char *message) {
  return transport->kind->data_failure_is_fatal ? transport_fatal(transport, message)
                                                : transport_report(transport, message);
}

static size_t room_size(unsigned room) { return READING_SIZE >> (2 * (READING_ROOMS - 1 - room)); }

/* Data of this size may stay where it was read to: the object takes four times its size at most. */
static bool fills(unsigned room, size_t size) { return size >= room_size(room) / 4; }

/* The room to read into. */
static unsigned choose_room(size_t expected) {
  unsigned room = READING_ROOMS - 1;

  if (fills(0, expected))
    for (room = 0; room < READING_ROOMS - 1 && expected >= room_size(room);)
      room++;
  return room;
}

/* What is expected after a reading: as much, or nearly what was expected before, since a message may come in parts. A
   room that became full was too small, nobody knows by how much. */
static unsigned expect(size_t expected, unsigned room, size_t count) {
  size_t less = expected - expected / 8;

  if (count == room_size(room))
    return READING_SIZE;
  return (unsigned)(count > less ? count : less);
}

static char *read_memory(struct loop *loop, unsigned room) {
  PyObject *bytes = loop->rooms[room].bytes;

  return bytes != NULL ? PyBytes_AS_STRING(bytes) : loop->read_buffer;
}

/* A bytes object of data in the memory that it was read to. To allocate it would be a fifth of what an echo costs us;
   so it may be the one of the last time, if nobody has kept that. Data that fills its room is not copied: the object is
   the memory that is read to, as long as nobody keeps such ones. Returns a new reference, or NULL with an exception. */
static PyObject *bytes_of(struct loop *loop, unsigned number, const char *data, size_t size) {
  struct reading_room *room = &loop->rooms[number];
  PyObject *spare = loop->spare, *bytes = room->bytes;

  if (fills(number, size) && !room->kept) {
    if (bytes == NULL && (bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)room_size(number))) == NULL)
      return NULL;
    room->bytes = NULL;
    bytes_renew(bytes, data, size);
    return bytes;
  }
  if (size < SPARE_MIN || size >= SPARE_MAX)
    return PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
  loop->spare = NULL;
  if (spare != NULL && size <= loop->spare_room && size >= loop->spare_room / 2) {
    bytes_renew(spare, data, size);
    return spare;
  }
  Py_XDECREF(spare);
  loop->spare_room = size;
  return PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
}

/* Releases such an object after the call that it was made for. */
static void release_bytes(struct loop *loop, unsigned number, PyObject *bytes) {
  struct reading_room *room = &loop->rooms[number];
  size_t size = (size_t)PyBytes_GET_SIZE(bytes);
  bool kept = !bytes_are_unshared(bytes), full = fills(number, size), copied = !full || room->kept;

  if (full)
    room->kept = kept;
  if (!kept && !copied && room->bytes == NULL)
    room->bytes = bytes;
  else if (!kept && copied && size >= SPARE_MIN && size < SPARE_MAX && loop->spare == NULL)
    loop->spare = bytes;
  else
    Py_DECREF(bytes);
}

/* For an asyncio.Protocol. */
static int read_data(struct transport *transport) {
  struct loop *loop = transport->loop;
  unsigned room = choose_room(transport->expected);
  char *memory = read_memory(loop, room);
  ssize_t count = receive(transport, memory, room_size(room));
  PyObject *stack[3] = {NULL}, *result = NULL;

  if (count <= 0)
    return without_data(transport, count);
  transport->expected = expect(transport->expected, room, (size_t)count);
  stack[2] = bytes_of(loop, room, memory, (size_t)count);
  if (stack[2] == NULL)
    return transport_fatal(transport, transport->kind->read_failed);
  stack[1] = Py_NewRef(transport->protocol);
  result =
      PyObject_VectorcallMethod(loop->state->str_data_received, stack + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
  release_bytes(loop, room, stack[2]);
  Py_DECREF(stack[1]);
  if (result == NULL)
    return data_failed(transport, transport->kind->data_failed);
  Py_DECREF(result);
  return 0;
}

/* The buffer that the protocol offers. Returns a new reference, or NULL with an exception. */
static PyObject *get_buffer(struct transport *transport, PyObject *protocol) {
  struct core_state *state = transport->loop->state;
  PyObject *buffer = PyObject_CallMethodOneArg(protocol, state->str_get_buffer, state->minus_one);
  Py_ssize_t size = buffer != NULL ? PyObject_Size(buffer) : -1;

  if (size == 0)
    PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
  if (size <= 0)
    Py_CLEAR(buffer);
  return buffer;
}

/* Reads into an object; as receive(). */
static ssize_t receive_into(struct transport *transport, PyObject *buffer) {
  Py_buffer view;
  ssize_t count;

  if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0) {
    PyErr_Clear();
    PyErr_Format(PyExc_TypeError, "recv_into() argument 1 must be read-write bytes-like object, not %.200s",
                 Py_TYPE(buffer)->tp_name);
    return -2;
  }
  count = receive(transport, view.buf, (size_t)view.len);
  PyBuffer_Release(&view);
  return count;
}

/* For an asyncio.BufferedProtocol. */
static int read_into_buffer(struct transport *transport) {
  struct core_state *state = transport->loop->state;
  PyObject *protocol = Py_NewRef(transport->protocol), *buffer = get_buffer(transport, protocol), *number, *done = NULL;
  ssize_t count;

  Py_DECREF(protocol);
  if (buffer == NULL)
    return transport_fatal(transport, "Fatal error: protocol.get_buffer() call failed.");
  count = receive_into(transport, buffer);
  Py_DECREF(buffer);
  if (count <= 0)
    return without_data(transport, count);
  protocol = Py_NewRef(transport->protocol);
  if ((number = PyLong_FromSsize_t(count)) != NULL)
    done = PyObject_CallMethodOneArg(protocol, state->str_buffer_updated, number);
  Py_XDECREF(number);
  Py_DECREF(protocol);
  if (done == NULL)
    return data_failed(transport, "Fatal error: protocol.buffer_updated() call failed.");
  Py_DECREF(done);
  return 0;
}

int reading_read(struct transport *transport) {
  return transport->buffered ? read_into_buffer(transport) : read_data(transport);
}

int reading_on_readable(struct loop *loop, struct pollee *pollee) {
  struct transport *transport = transport_of_reading(pollee);
  PyObject *context = Py_NewRef(transport->read_context);
  int failed;

  (void)loop;
  if (PyContext_Enter(context) < 0) {
    failed = transport_fatal(transport, transport->kind->read_failed);
  } else {
    failed = transport->kind->read(transport);
    if (PyContext_Exit(context) < 0)
      failed = -1;
  }
  Py_DECREF(context);
  return failed;
}

const char reading_pause_doc[] =
    "pause_reading($self, /)\n--\n\nCall data_received() no more until resume_reading() is called.";

PyObject *reading_pause(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct transport *transport = as_transport(self);

  if (is_on(transport)) {
    transport->paused = true;
    pollee_unwatch(transport->loop, &transport->reading);
    if (transport->loop->debug &&
        transport_log(transport, transport->loop->state->str_debug, "%r pauses reading", NULL) < 0)
      return NULL;
  }
  Py_RETURN_NONE;
}

const char reading_resume_doc[] = "resume_reading($self, /)\n--\n\nRead again after pause_reading().";

PyObject *reading_resume(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct transport *transport = as_transport(self);

  if (!transport->closing && transport->paused) {
    transport->paused = false;
    if (reading_start(transport) < 0)
      return NULL;
    if (transport->loop->debug &&
        transport_log(transport, transport->loop->state->str_debug, "%r resumes reading", NULL) < 0)
      return NULL;
  }
  Py_RETURN_NONE;
}

const char reading_is_on_doc[] = "is_reading($self, /)\n--\n\nWhether the transport is neither paused nor closing.";

PyObject *reading_is_on(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return PyBool_FromLong(is_on(as_transport(self)));
}
