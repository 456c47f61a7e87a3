/* Steps of scripts as Python sees them: dicts, the functions that make them, and their translation. */
#include "values.h"

#include "pattern.h"
#include "tls_context.h"

#include <stddef.h>
#include <stdlib.h>

#define MOST_STEPS 100000
#define VERB_KEY "do"

struct field {
  const char *name;
  enum fk_value kind;
  size_t at; /* offset in struct fk_step */
  enum { OPTIONAL, REQUIRED } need;
  enum { BY_NAME, BY_PLACE } giving;
};

#define FIELD(field_name, kind, member, need, giving)                                                                  \
  { field_name, FK_##kind, offsetof(struct fk_step, member), need, giving }
#define END_OF_FIELDS                                                                                                  \
  { NULL, FK_FLAG, 0, OPTIONAL, BY_NAME }

/* Fields that several verbs have. */
#define CHUNKS FIELD("chunks", SIZES, chunks, OPTIONAL, BY_NAME)
#define PAUSE FIELD("pause", SECONDS, pause, OPTIONAL, BY_NAME)
#define SENDER FIELD("sender", ADDRESS, address, OPTIONAL, BY_NAME)
#define COUNT(giving) FIELD("count", COUNT, count, OPTIONAL, giving)
#define PATTERN                                                                                                        \
  FIELD("seed", SEED, seed, REQUIRED, BY_PLACE), FIELD("size", SIZE, size, REQUIRED, BY_PLACE),                        \
      FIELD("offset", SIZE, offset, OPTIONAL, BY_NAME)

static const struct field no_fields[] = {END_OF_FIELDS};
static const struct field accept_fields[] = {COUNT(BY_PLACE), END_OF_FIELDS};
static const struct field connect_fields[] = {
    FIELD("address", ADDRESS, address, OPTIONAL, BY_PLACE),
    COUNT(BY_NAME),
    FIELD("type", SOCKET_TYPE, type, OPTIONAL, BY_NAME),
    FIELD("local", LOCAL, local, OPTIONAL, BY_NAME),
    FIELD("receive_buffer", BUFFER_SIZE, buffers.receive, OPTIONAL, BY_NAME),
    FIELD("send_buffer", BUFFER_SIZE, buffers.send, OPTIONAL, BY_NAME),
    END_OF_FIELDS,
};
static const struct field use_fields[] = {
    FIELD("first", FIRST, first, REQUIRED, BY_PLACE),
    COUNT(BY_PLACE),
    END_OF_FIELDS,
};
static const struct field buffers_fields[] = {
    FIELD("receive", BUFFER_SIZE, buffers.receive, OPTIONAL, BY_NAME),
    FIELD("send", BUFFER_SIZE, buffers.send, OPTIONAL, BY_NAME),
    END_OF_FIELDS,
};
static const struct field send_fields[] = {
    FIELD("data", BYTES, data, REQUIRED, BY_PLACE),
    CHUNKS,
    PAUSE,
    FIELD("to", ADDRESS, address, OPTIONAL, BY_NAME),
    FIELD("more", FLAG, more, OPTIONAL, BY_NAME),
    FIELD("urgent", FLAG, urgent, OPTIONAL, BY_NAME),
    END_OF_FIELDS,
};
static const struct field send_pattern_fields[] = {
    PATTERN, CHUNKS, PAUSE, FIELD("to", ADDRESS, address, OPTIONAL, BY_NAME), END_OF_FIELDS,
};
static const struct field send_ancillary_fields[] = {
    FIELD("data", BYTES, data, REQUIRED, BY_PLACE),
    FIELD("descriptors", DESCRIPTORS, descriptors, OPTIONAL, BY_NAME),
    FIELD("credentials", FLAG, credentials, OPTIONAL, BY_NAME),
    FIELD("to", ADDRESS, address, OPTIONAL, BY_NAME),
    END_OF_FIELDS,
};
static const struct field receive_fields[] = {
    FIELD("size", SIZE, size, REQUIRED, BY_PLACE), CHUNKS, PAUSE, SENDER, END_OF_FIELDS,
};
static const struct field expect_fields[] = {
    FIELD("data", BYTES, data, REQUIRED, BY_PLACE), CHUNKS, PAUSE, SENDER, END_OF_FIELDS,
};
static const struct field expect_pattern_fields[] = {PATTERN, CHUNKS, PAUSE, SENDER, END_OF_FIELDS};
static const struct field drain_fields[] = {CHUNKS, PAUSE, END_OF_FIELDS};
static const struct field echo_fields[] = {FIELD("size", SIZE, size, OPTIONAL, BY_PLACE), END_OF_FIELDS};
static const struct field pause_fields[] = {FIELD("seconds", SECONDS, pause, REQUIRED, BY_PLACE), END_OF_FIELDS};

#define unlisten_fields no_fields
#define expect_silence_fields pause_fields
#define expect_eof_fields no_fields
#define expect_reset_fields no_fields
#define expect_descriptors_closed_fields no_fields
#define hold_fields no_fields
#define shutdown_fields no_fields
#define close_fields no_fields
#define reset_fields no_fields

#include "tls_fields.h"

static const struct field *const fields_of[] = {
#define FIELDS(name, scope) name##_fields,
    FK_VERBS(FIELDS)
#undef FIELDS
};

static const struct field *field_named(enum fk_verb verb, PyObject *name) {
  for (const struct field *field = fields_of[verb]; field->name != NULL; field++) {
    if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, field->name) == 0) {
      return field;
    }
  }
  return NULL;
}

/* Make what TLS begins with, so that what is wrong with it is found now. Returns 0, or -1 with an exception set. */
static int make_tls_context(struct fk_step *step) {
  char reason[FK_TLS_REASON];
  step->tls.server = step->verb == FK_VERB_tls_server;
  step->tls_context = fk_tls_context_new(&step->tls, reason);
  if (step->tls_context == NULL) {
    PyErr_SetString(PyExc_ValueError, reason);
    return -1;
  }
  return 0;
}

/* Translate the fields in `given` (the key VERB_KEY is skipped). Returns 0, or -1 with an exception set. */
static int parse_fields(enum fk_verb verb, PyObject *given, struct fk_step *step) {
  PyObject *name;
  PyObject *value;
  Py_ssize_t position = 0;
  *step = (struct fk_step){
      .verb = verb, .count = 1, .type = SOCK_STREAM, .tls = {.tickets = 2}, .level = 2 /* fatal */, .mask = UINT8_MAX};
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
    int outcome = fk_parse_value(value, field->kind, (char *)step + field->at);
    Py_DECREF(value);
    if (outcome < 0) {
      fk_prefix_error(PyUnicode_FromString(field->name));
      goto failed;
    }
  }
  for (const struct field *field = fields_of[verb]; field->name != NULL; field++) {
    if (field->need == REQUIRED) {
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
  if ((verb == FK_VERB_tls_server || verb == FK_VERB_tls_client) && make_tls_context(step) < 0) {
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

/* Collect what an iterable gives, but no more steps than a script can have: it may be endless. Returns a new list. */
static PyObject *collect(PyObject *steps) {
  PyObject *iterator = PyObject_GetIter(steps);
  PyObject *list = iterator == NULL ? NULL : PyList_New(0);
  PyObject *step;
  while (list != NULL && (step = PyIter_Next(iterator)) != NULL) {
    if (PyList_GET_SIZE(list) == MOST_STEPS) {
      PyErr_Format(PyExc_ValueError, "a script has at most %d steps", MOST_STEPS);
      Py_CLEAR(list);
    } else if (PyList_Append(list, step) < 0) {
      Py_CLEAR(list);
    }
    Py_DECREF(step);
  }
  Py_XDECREF(iterator);
  if (list != NULL && PyErr_Occurred() != NULL) {
    Py_CLEAR(list);
  }
  return list;
}

PyObject *fk_parse_script(PyObject *steps, struct fk_script *script) {
  *script = (struct fk_script){NULL, 0};
  PyObject *given = collect(steps);
  if (given == NULL) {
    return NULL;
  }
  Py_ssize_t count = PyList_GET_SIZE(given);
  PyObject *copies = PyTuple_New(count);
  if (copies == NULL) {
    goto failed;
  }
  script->steps = calloc((size_t)count + 1, sizeof *script->steps);
  if (script->steps == NULL) {
    PyErr_NoMemory();
    goto failed;
  }
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject *step = PyList_GET_ITEM(given, i);
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
    if (field->name == NULL || field->giving != BY_PLACE) {
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

#define MAKER(name, scope)                                                                                             \
  static PyObject *make_##name(PyObject *module, PyObject *args, PyObject *kwargs) {                                   \
    (void)module;                                                                                                      \
    return make_step(FK_VERB_##name, args, kwargs);                                                                    \
  }
FK_VERBS(MAKER)

#include "step_docs.h"
#include "tls_docs.h"

PyMethodDef fk_step_methods[] = {
#define METHOD(name, scope) {#name, (PyCFunction)(void (*)(void))make_##name, METH_VARARGS | METH_KEYWORDS, name##_doc},
    FK_VERBS(METHOD){NULL, NULL, 0, NULL},
};
