/* Steps of scripts as Python sees them: dicts, the functions that make them, and their translation. */
#include "module.h"

#include "pattern.h"
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/un.h>

#define MOST_STEPS 100000
#define MOST_CHUNKS 65536
#define LONGEST_PAUSE 86400.0
#define VERB_KEY "do"

enum kind { SEED, COUNT, BYTES, SIZES, SECONDS, ADDRESS, BUFFER };

struct field {
  const char *name;
  enum kind kind;
  size_t at; /* offset in struct fk_step */
  bool required;
  bool positional;
};

#define FIELD(field_name, kind, member, required, positional)                                                          \
  { field_name, kind, offsetof(struct fk_step, member), required, positional }
#define END_OF_FIELDS                                                                                                  \
  { NULL, SEED, 0, false, false }

static const struct field no_fields[] = {END_OF_FIELDS};
static const struct field connect_fields[] = {FIELD("address", ADDRESS, address, true, true), END_OF_FIELDS};
static const struct field buffers_fields[] = {
    FIELD("receive", BUFFER, receive_buffer, false, false),
    FIELD("send", BUFFER, send_buffer, false, false),
    END_OF_FIELDS,
};
static const struct field send_fields[] = {
    FIELD("data", BYTES, data, true, true),
    FIELD("chunks", SIZES, chunks, false, false),
    FIELD("pause", SECONDS, pause, false, false),
    END_OF_FIELDS,
};
static const struct field send_pattern_fields[] = {
    FIELD("seed", SEED, seed, true, true),        FIELD("size", COUNT, size, true, true),
    FIELD("offset", COUNT, offset, false, false), FIELD("chunks", SIZES, chunks, false, false),
    FIELD("pause", SECONDS, pause, false, false), END_OF_FIELDS,
};
static const struct field receive_fields[] = {FIELD("size", COUNT, size, true, true), END_OF_FIELDS};
static const struct field expect_fields[] = {FIELD("data", BYTES, data, true, true), END_OF_FIELDS};
static const struct field expect_pattern_fields[] = {
    FIELD("seed", SEED, seed, true, true),
    FIELD("size", COUNT, size, true, true),
    FIELD("offset", COUNT, offset, false, false),
    END_OF_FIELDS,
};
static const struct field echo_fields[] = {FIELD("size", COUNT, size, false, true), END_OF_FIELDS};
static const struct field pause_fields[] = {FIELD("seconds", SECONDS, pause, true, true), END_OF_FIELDS};

#define accept_fields no_fields
#define expect_eof_fields no_fields
#define expect_reset_fields no_fields
#define drain_fields no_fields
#define hold_fields no_fields
#define shutdown_fields no_fields
#define close_fields no_fields
#define reset_fields no_fields

static const struct field *const fields_of[] = {
#define FIELDS(name) name##_fields,
    FK_VERBS(FIELDS)
#undef FIELDS
};

static int parse_count(PyObject *value, uint64_t most, uint64_t *result) {
  PyObject *number = PyNumber_Index(value);
  if (number == NULL) {
    return -1;
  }
  unsigned long long count = PyLong_AsUnsignedLongLong(number);
  Py_DECREF(number);
  if (PyErr_Occurred() != NULL && !PyErr_ExceptionMatches(PyExc_OverflowError)) {
    return -1;
  }
  if (PyErr_Occurred() != NULL || count > most) {
    PyErr_Format(PyExc_ValueError, "must be from 0 to %llu, not %R", (unsigned long long)most, value);
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

static int parse_sizes(PyObject *value, struct fk_sizes *result) {
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
    if (parse_count(PyTuple_GET_ITEM(items, i), FK_PATTERN_LIMIT, &size) < 0) {
      goto failed;
    }
    if (size == 0) {
      PyErr_SetString(PyExc_ValueError, "must be sizes of at least 1");
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

static int parse_seconds(PyObject *value, int64_t *result) {
  double seconds = PyFloat_AsDouble(value);
  if (seconds == -1.0 && PyErr_Occurred() != NULL) {
    return -1;
  }
  if (!(seconds >= 0.0 && seconds <= LONGEST_PAUSE)) {
    PyErr_Format(PyExc_ValueError, "must be from 0 to %d seconds, not %R", (int)LONGEST_PAUSE, value);
    return -1;
  }
  *result = (int64_t)(seconds * (double)FK_SECOND);
  return 0;
}

static int parse_path(PyObject *value, struct fk_address *result) {
  struct sockaddr_un *address = (struct sockaddr_un *)&result->value;
  PyObject *path = PyBytes_Check(value) ? Py_NewRef(value) : PyUnicode_EncodeFSDefault(value);
  if (path == NULL) {
    return -1;
  }
  size_t size = (size_t)PyBytes_GET_SIZE(path);
  if (size == 0 || size >= sizeof address->sun_path) {
    PyErr_Format(PyExc_ValueError, "must be a path of 1 to %zu bytes", sizeof address->sun_path - 1);
    Py_DECREF(path);
    return -1;
  }
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, PyBytes_AS_STRING(path), size);
  bool abstract = address->sun_path[0] == '\0';
  result->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (abstract ? 0 : 1));
  Py_DECREF(path);
  return 0;
}

/* An address is (IP address, port) or longer, as socket.getsockname() gives it, or the path of a UNIX socket. */
static int parse_address(PyObject *value, struct fk_address *result) {
  if (PyUnicode_Check(value) || PyBytes_Check(value)) {
    return parse_path(value, result);
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
  if (port == NULL || parse_count(port, UINT16_MAX, &number) < 0) {
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

static int parse_value(PyObject *value, const struct field *field, struct fk_step *step) {
  void *target = (char *)step + field->at;
  uint64_t count = 0;
  switch (field->kind) {
  case SEED:
    return parse_count(value, UINT64_MAX, target);
  case COUNT:
    return parse_count(value, FK_PATTERN_LIMIT, target);
  case BYTES:
    return parse_bytes(value, target);
  case SIZES:
    return parse_sizes(value, target);
  case SECONDS:
    return parse_seconds(value, target);
  case ADDRESS:
    return parse_address(value, target);
  case BUFFER:
    if (parse_count(value, INT32_MAX, &count) < 0) {
      return -1;
    }
    *(int *)target = (int)count;
    return 0;
  }
  return 0;
}

void fk_prefix_error(PyObject *prefix) {
  if (prefix == NULL || !(PyErr_ExceptionMatches(PyExc_ValueError) || PyErr_ExceptionMatches(PyExc_TypeError))) {
    Py_XDECREF(prefix);
    return;
  }
  PyObject *type;
  PyObject *value;
  PyObject *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_Format(type, "%U: %S", prefix, value);
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  Py_DECREF(prefix);
}

static const struct field *field_named(enum fk_verb verb, PyObject *name) {
  for (const struct field *field = fields_of[verb]; field->name != NULL; field++) {
    if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, field->name) == 0) {
      return field;
    }
  }
  return NULL;
}

/* Translate the fields in `given` (the key VERB_KEY is skipped). Returns 0, or -1 with an exception set. */
static int parse_fields(enum fk_verb verb, PyObject *given, struct fk_step *step) {
  PyObject *name;
  PyObject *value;
  Py_ssize_t position = 0;
  *step = (struct fk_step){.verb = verb};
  while (PyDict_Next(given, &position, &name, &value)) {
    if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, VERB_KEY) == 0) {
      continue;
    }
    const struct field *field = field_named(verb, name);
    if (field == NULL) {
      PyErr_Format(PyExc_TypeError, "there is no field %R", name);
      goto failed;
    }
    Py_INCREF(value); /* translating may run code that changes the dict */
    int outcome = parse_value(value, field, step);
    Py_DECREF(value);
    if (outcome < 0) {
      fk_prefix_error(PyUnicode_FromString(field->name));
      goto failed;
    }
  }
  for (const struct field *field = fields_of[verb]; field->name != NULL; field++) {
    if (field->required) {
      PyObject *key = PyUnicode_FromString(field->name);
      int found = key == NULL ? -1 : PyDict_Contains(given, key);
      Py_XDECREF(key);
      if (found == 0) {
        PyErr_Format(PyExc_TypeError, "the field '%s' is missing", field->name);
      }
      if (found != 1) {
        goto failed;
      }
    }
  }
  if (step->offset > FK_PATTERN_LIMIT - step->size) {
    PyErr_SetString(PyExc_ValueError, "offset + size must not be above 2**62");
    goto failed;
  }
  return 0;

failed:
  fk_step_clear(step);
  return -1;
}

/* Translate one dict; `copy` is the script's own copy of it. */
static int parse_step(PyObject *copy, struct fk_step *step) {
  PyObject *name = PyDict_GetItemString(copy, VERB_KEY);
  if (name == NULL || !PyUnicode_Check(name)) {
    PyErr_SetString(PyExc_TypeError, "the verb, the text under the key '" VERB_KEY "', is missing");
    return -1;
  }
  const char *text = PyUnicode_AsUTF8(name);
  if (text == NULL) {
    return -1;
  }
  enum fk_verb verb = fk_verb_named(text);
  if (verb == FK_VERB_COUNT) {
    PyErr_Format(PyExc_ValueError, "there is no verb %R", name);
    return -1;
  }
  if (parse_fields(verb, copy, step) < 0) {
    fk_prefix_error(PyUnicode_FromString(fk_verb_name(verb)));
    return -1;
  }
  return 0;
}

PyObject *fk_parse_script(PyObject *steps, struct fk_script *script) {
  *script = (struct fk_script){NULL, 0};
  PyObject *given = PySequence_Tuple(steps);
  if (given == NULL) {
    return NULL;
  }
  Py_ssize_t count = PyTuple_GET_SIZE(given);
  PyObject *copies = NULL;
  if (count > MOST_STEPS) {
    PyErr_Format(PyExc_ValueError, "a script has at most %d steps, not %zd", MOST_STEPS, count);
    goto failed;
  }
  copies = PyTuple_New(count);
  script->steps = calloc((size_t)count + 1, sizeof *script->steps);
  if (copies == NULL || script->steps == NULL) {
    if (copies != NULL) {
      PyErr_NoMemory();
    }
    goto failed;
  }
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject *step = PyTuple_GET_ITEM(given, i);
    PyObject *copy = NULL;
    if (!PyDict_Check(step)) {
      PyErr_Format(PyExc_TypeError, "must be a dict, not %.100s", Py_TYPE(step)->tp_name);
    } else {
      copy = PyDict_Copy(step);
    }
    if (copy == NULL || parse_step(copy, &script->steps[i]) < 0) {
      Py_XDECREF(copy);
      fk_prefix_error(PyUnicode_FromFormat("step %zd", i + 1));
      goto failed;
    }
    script->count++;
    PyTuple_SET_ITEM(copies, i, copy);
  }
  Py_DECREF(given);
  return copies;

failed:
  fk_script_clear(script);
  Py_XDECREF(copies);
  Py_DECREF(given);
  return NULL;
}

PyObject *fk_describe_step(PyObject *step) {
  PyObject *name;
  PyObject *value;
  Py_ssize_t position = 0;
  PyObject *text = NULL;
  PyObject *parts = PyList_New(0);
  if (parts == NULL) {
    return NULL;
  }
  while (PyDict_Next(step, &position, &name, &value)) {
    if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, VERB_KEY) == 0) {
      continue;
    }
    bool is_long = PyBytes_Check(value) && PyBytes_GET_SIZE(value) > 40;
    PyObject *part = is_long ? PyUnicode_FromFormat("%U=<%zd bytes>", name, PyBytes_GET_SIZE(value))
                             : PyUnicode_FromFormat("%U=%R", name, value);
    int outcome = part == NULL ? -1 : PyList_Append(parts, part);
    Py_XDECREF(part);
    if (outcome < 0) {
      goto done;
    }
  }
  PyObject *comma = PyUnicode_FromString(", ");
  PyObject *joined = comma == NULL ? NULL : PyUnicode_Join(comma, parts);
  Py_XDECREF(comma);
  if (joined != NULL) {
    text = PyUnicode_FromFormat("%U(%U)", PyDict_GetItemString(step, VERB_KEY), joined);
    Py_DECREF(joined);
  }
done:
  Py_DECREF(parts);
  return text;
}

/* Make the dict of a step of that verb out of the arguments of a call. */
static PyObject *make_step(enum fk_verb verb, PyObject *args, PyObject *kwargs) {
  PyObject *step = PyDict_New();
  PyObject *name = PyUnicode_FromString(fk_verb_name(verb));
  struct fk_step translated;
  if (step == NULL || name == NULL || PyDict_SetItemString(step, VERB_KEY, name) < 0) {
    goto failed;
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++) {
    const struct field *field = fields_of[verb];
    for (Py_ssize_t skipped = 0; field->name != NULL && skipped < i; skipped++) {
      field++;
    }
    if (field->name == NULL || !field->positional) {
      PyErr_SetString(PyExc_TypeError, "too many positional arguments");
      fk_prefix_error(Py_NewRef(name));
      goto failed;
    }
    if (PyDict_SetItemString(step, field->name, PyTuple_GET_ITEM(args, i)) < 0) {
      goto failed;
    }
  }
  if (kwargs != NULL) {
    PyObject *key;
    PyObject *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(kwargs, &position, &key, &value)) {
      int found = PyDict_Contains(step, key);
      if (found == 1) {
        PyErr_Format(PyExc_TypeError, "%U: the field %R is given twice or does not exist", name, key);
      }
      if (found != 0 || PyDict_SetItem(step, key, value) < 0) {
        goto failed;
      }
    }
  }
  if (parse_fields(verb, step, &translated) < 0) {
    fk_prefix_error(Py_NewRef(name));
    goto failed;
  }
  fk_step_clear(&translated);
  Py_DECREF(name);
  return step;

failed:
  Py_XDECREF(name);
  Py_XDECREF(step);
  return NULL;
}

#define MAKER(name)                                                                                                    \
  static PyObject *make_##name(PyObject *module, PyObject *args, PyObject *kwargs) {                                   \
    (void)module;                                                                                                      \
    return make_step(FK_VERB_##name, args, kwargs);                                                                    \
  }
FK_VERBS(MAKER)

#include "step_docs.h"

PyMethodDef fk_step_methods[] = {
#define METHOD(name) {#name, (PyCFunction)(void (*)(void))make_##name, METH_VARARGS | METH_KEYWORDS, name##_doc},
    FK_VERBS(METHOD){NULL, NULL, 0, NULL},
};
