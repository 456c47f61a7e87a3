/* Values of the fields of steps, translated from Python. */
#include "values.h"

#include "actions.h"
#include "pattern.h"
#include "tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/un.h>

#define MOST_CHUNKS 65536
#define LONGEST_PAUSE 86400.0

int fk_parse_number(PyObject *value, uint64_t least, uint64_t most, uint64_t *result) {
  PyObject *number = PyNumber_Index(value);
  if (number == NULL) {
    return -1;
  }
  unsigned long long count = PyLong_AsUnsignedLongLong(number);
  Py_DECREF(number);
  if (PyErr_Occurred() != NULL && !PyErr_ExceptionMatches(PyExc_OverflowError)) {
    return -1;
  }
  if (PyErr_Occurred() != NULL || count < least || count > most) {
    PyErr_Format(PyExc_ValueError, "must be from %llu to %llu, not %R", (unsigned long long)least,
                 (unsigned long long)most, value);
    return -1;
  }
  *result = count;
  return 0;
}

static int parse_bytes(PyObject *value, struct fk_bytes *result) {
  Py_buffer view;
  if (PyObject_GetBuffer(value, &view, PyBUF_SIMPLE) < 0) {
    return -1;
  }
  uint8_t *copy = malloc((size_t)view.len + 1);
  if (copy == NULL) {
    PyBuffer_Release(&view);
    PyErr_NoMemory();
    return -1;
  }
  if (view.len > 0) {
    memcpy(copy, view.buf, (size_t)view.len);
  }
  *result = (struct fk_bytes){copy, (size_t)view.len};
  PyBuffer_Release(&view);
  return 0;
}

static int parse_sizes(PyObject *value, uint64_t least, struct fk_sizes *result) {
  if (!PyTuple_Check(value) && !PyList_Check(value)) {
    PyErr_Format(PyExc_TypeError, "must be a tuple of sizes, not %.100s", Py_TYPE(value)->tp_name);
    return -1;
  }
  PyObject *items = PySequence_Tuple(value);
  if (items == NULL) {
    return -1;
  }
  Py_ssize_t count = PyTuple_GET_SIZE(items);
  size_t *values = NULL;
  if (count > MOST_CHUNKS) {
    PyErr_Format(PyExc_ValueError, "must be at most %d sizes, not %zd", MOST_CHUNKS, count);
    goto failed;
  }
  values = malloc(((size_t)count + 1) * sizeof *values);
  if (values == NULL) {
    PyErr_NoMemory();
    goto failed;
  }
  for (Py_ssize_t i = 0; i < count; i++) {
    uint64_t size;
    if (fk_parse_number(PyTuple_GET_ITEM(items, i), least, FK_PATTERN_LIMIT, &size) < 0) {
      goto failed;
    }
    values[i] = (size_t)size;
  }
  Py_DECREF(items);
  *result = (struct fk_sizes){values, (size_t)count};
  return 0;

failed:
  free(values);
  Py_DECREF(items);
  return -1;
}

int fk_parse_real(PyObject *value, double most, double *result) {
  double number = PyFloat_AsDouble(value);
  if (number == -1.0 && PyErr_Occurred() != NULL) {
    return -1;
  }
  if (!(number >= 0.0 && number <= most)) {
    PyErr_Format(PyExc_ValueError, "must be from 0 to %d, not %R", (int)most, value);
    return -1;
  }
  *result = number;
  return 0;
}

int fk_parse_seconds(PyObject *value, int64_t *result) {
  double seconds;
  if (fk_parse_real(value, LONGEST_PAUSE, &seconds) < 0) {
    return -1;
  }
  *result = (int64_t)(seconds * (double)FK_SECOND);
  return 0;
}

/* An empty path is any free abstract name, which can be bound to but is nobody's address. */
static int parse_path(PyObject *value, struct fk_address *result, bool can_be_empty) {
  struct sockaddr_un *address = (struct sockaddr_un *)&result->value;
  PyObject *path = PyBytes_Check(value) ? Py_NewRef(value) : PyUnicode_EncodeFSDefault(value);
  if (path == NULL) {
    return -1;
  }
  size_t size = (size_t)PyBytes_GET_SIZE(path);
  if ((size == 0 && !can_be_empty) || size >= sizeof address->sun_path) {
    PyErr_Format(PyExc_ValueError, "must be a path of 1 to %zu bytes", sizeof address->sun_path - 1);
    Py_DECREF(path);
    return -1;
  }
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, PyBytes_AS_STRING(path), size);
  bool has_end = size > 0 && address->sun_path[0] != '\0';
  result->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (has_end ? 1 : 0));
  Py_DECREF(path);
  return 0;
}

/* An address is (IP address, port) or longer, as socket.getsockname() gives it, or the path of a UNIX socket; None is
 * no address. */
static int parse_address(PyObject *value, struct fk_address *result, bool is_local) {
  if (value == Py_None) {
    return 0;
  }
  if (PyUnicode_Check(value) || PyBytes_Check(value)) {
    return parse_path(value, result, is_local);
  }
  bool is_pair = (PyTuple_Check(value) || PyList_Check(value)) && PySequence_Size(value) >= 2;
  if (!is_pair) {
    PyErr_Format(PyExc_TypeError, "must be (IP address, port) or a path, not %R", value);
    return -1;
  }
  PyObject *host = PySequence_GetItem(value, 0);
  PyObject *port = host == NULL ? NULL : PySequence_GetItem(value, 1);
  int outcome = -1;
  uint64_t number;
  if (port == NULL || fk_parse_number(port, 0, UINT16_MAX, &number) < 0) {
    goto done;
  }
  const char *text = PyUnicode_Check(host) ? PyUnicode_AsUTF8(host) : NULL;
  struct sockaddr_in *ip4 = (struct sockaddr_in *)&result->value;
  struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)&result->value;
  if (text != NULL && inet_pton(AF_INET, text, &ip4->sin_addr) == 1) {
    ip4->sin_family = AF_INET;
    ip4->sin_port = htons((uint16_t)number);
    result->size = sizeof *ip4;
    outcome = 0;
  } else if (text != NULL && inet_pton(AF_INET6, text, &ip6->sin6_addr) == 1) {
    ip6->sin6_family = AF_INET6;
    ip6->sin6_port = htons((uint16_t)number);
    result->size = sizeof *ip6;
    outcome = 0;
  } else if (PyErr_Occurred() == NULL) {
    PyErr_Format(PyExc_ValueError, "must have an IP address in numbers, not %R", host);
  }
done:
  Py_XDECREF(port);
  Py_XDECREF(host);
  return outcome;
}

static int parse_socket_type(PyObject *value, int *result) {
  static const struct {
    const char *name;
    int type;
  } types[] = {{"stream", SOCK_STREAM}, {"datagram", SOCK_DGRAM}, {"seqpacket", SOCK_SEQPACKET}};
  for (size_t i = 0; PyUnicode_Check(value) && i < sizeof types / sizeof *types; i++) {
    if (PyUnicode_CompareWithASCIIString(value, types[i].name) == 0) {
      *result = types[i].type;
      return 0;
    }
  }
  PyErr_Format(PyExc_ValueError, "must be 'stream', 'datagram' or 'seqpacket', not %R", value);
  return -1;
}

static int parse_buffer_size(PyObject *value, int *result) {
  uint64_t size;
  if (fk_parse_number(value, 0, INT32_MAX, &size) < 0) {
    return -1;
  }
  *result = (int)size;
  return 0;
}

static int parse_flag(PyObject *value, bool *result) {
  if (!PyBool_Check(value)) {
    PyErr_Format(PyExc_TypeError, "must be True or False, not %R", value);
    return -1;
  }
  *result = value == Py_True;
  return 0;
}

static int parse_byte(PyObject *value, uint8_t *result) {
  uint64_t number;
  if (fk_parse_number(value, 0, UINT8_MAX, &number) < 0) {
    return -1;
  }
  *result = (uint8_t)number;
  return 0;
}

static int parse_text(PyObject *value, struct fk_bytes *result) {
  if (!PyUnicode_Check(value)) {
    PyErr_Format(PyExc_TypeError, "must be a str, not %.100s", Py_TYPE(value)->tp_name);
    return -1;
  }
  PyObject *encoded = PyUnicode_AsUTF8String(value);
  int outcome = encoded == NULL ? -1 : parse_bytes(encoded, result);
  Py_XDECREF(encoded);
  return outcome;
}

/* Names of protocols, each with its size in a byte before it. */
static int parse_protocols(PyObject *value, struct fk_bytes *result) {
  if (!PyTuple_Check(value) && !PyList_Check(value)) {
    PyErr_Format(PyExc_TypeError, "must be a tuple of names, not %.100s", Py_TYPE(value)->tp_name);
    return -1;
  }
  PyObject *items = PySequence_Tuple(value);
  PyObject *joined = items == NULL ? NULL : PyBytes_FromStringAndSize(NULL, 0);
  for (Py_ssize_t i = 0; joined != NULL && i < PyTuple_GET_SIZE(items); i++) {
    Py_ssize_t size;
    PyObject *name = PyTuple_GET_ITEM(items, i);
    const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &size) : NULL;
    if (text == NULL || size < 1 || size > UINT8_MAX) {
      if (!PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError, "must be names of 1 to 255 bytes, not %R", name);
      }
      Py_CLEAR(joined);
    } else {
      PyBytes_ConcatAndDel(&joined, PyBytes_FromFormat("%c", (int)size));
      if (joined != NULL) {
        PyBytes_ConcatAndDel(&joined, PyBytes_FromStringAndSize(text, size));
      }
    }
  }
  int outcome = joined == NULL ? -1 : parse_bytes(joined, result);
  Py_XDECREF(joined);
  Py_XDECREF(items);
  return outcome;
}

int fk_parse_value(PyObject *value, enum fk_value kind, void *target) {
  switch (kind) {
  case FK_SEED:
    return fk_parse_number(value, 0, UINT64_MAX, target);
  case FK_SIZE:
    return fk_parse_number(value, 0, FK_PATTERN_LIMIT, target);
  case FK_FIRST:
    return fk_parse_number(value, 0, FK_MOST_CONNECTIONS - 1, target);
  case FK_COUNT:
    return fk_parse_number(value, 1, FK_MOST_CONNECTIONS, target);
  case FK_DESCRIPTORS:
    return fk_parse_number(value, 0, FK_MOST_PASSED, target);
  case FK_BYTES:
    return parse_bytes(value, target);
  case FK_SIZES:
    return parse_sizes(value, 1, target);
  case FK_SECONDS:
    return fk_parse_seconds(value, target);
  case FK_ADDRESS:
    return parse_address(value, target, false);
  case FK_LOCAL:
    return parse_address(value, target, true);
  case FK_SOCKET_TYPE:
    return parse_socket_type(value, target);
  case FK_BUFFER_SIZE:
    return parse_buffer_size(value, target);
  case FK_FLAG:
    return parse_flag(value, target);
  case FK_TEXT:
    return parse_text(value, target);
  case FK_PROTOCOLS:
    return parse_protocols(value, target);
  case FK_NUMBERS:
    return parse_sizes(value, 0, target);
  case FK_BYTE:
    return parse_byte(value, target);
  case FK_TICKETS:
    return fk_parse_number(value, 0, FK_TLS_MOST_TICKETS, target);
  case FK_FRAGMENT:
    return fk_parse_number(value, 0, FK_TLS_PLAINTEXT, target);
  }
  return 0;
}

/* The exception that is raised in place of the one that is set; NULL: none, that one is not about the value. */
static PyObject *explained(void) {
  if (PyErr_ExceptionMatches(PyExc_TypeError)) {
    return PyExc_TypeError;
  }
  bool is_ours = PyErr_ExceptionMatches(PyExc_ValueError) || PyErr_ExceptionMatches(PyExc_OverflowError) ||
                 PyErr_ExceptionMatches(PyExc_BufferError);
  return is_ours ? PyExc_ValueError : NULL;
}

void fk_prefix_error(PyObject *prefix) {
  PyObject *explanation = prefix == NULL ? NULL : explained();
  if (explanation == NULL) {
    Py_XDECREF(prefix);
    return;
  }
  PyObject *type;
  PyObject *value;
  PyObject *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_Format(explanation, "%U: %S", prefix, value);
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  Py_DECREF(prefix);
}
