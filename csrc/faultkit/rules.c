/* Rules of the injector as Python sees them: dicts, the functions that make them, their translation. */
#include "module.h"
#include "values.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>

#define MOST_RULES 100000

#define ALWAYS (~0u)
#define ONLY(action) (1u << FK_ACTION_##action)

typedef int parser(PyObject *value, struct fk_rule *rule);

static int parse_size(PyObject *value, struct fk_rule *rule) {
  return fk_parse_number(value, 1, INT64_MAX, &rule->size);
}

static int parse_nth(PyObject *value, struct fk_rule *rule) { return fk_parse_number(value, 1, INT64_MAX, &rule->nth); }

static int parse_count(PyObject *value, struct fk_rule *rule) {
  return fk_parse_number(value, 1, INT64_MAX, &rule->count);
}

static int parse_seconds(PyObject *value, struct fk_rule *rule) { return fk_parse_seconds(value, &rule->delay); }

static int parse_probability(PyObject *value, struct fk_rule *rule) {
  return fk_parse_real(value, 1.0, &rule->probability);
}

/* Something by its name: a call of the set and so on. Returns whether there is such a thing. */
typedef bool adder(struct fk_rule *rule, const char *name);

/* Add the thing that is named, or each of those that a sequence names. */
static int parse_names(PyObject *value, struct fk_rule *rule, adder *add, const char *what) {
  if (!PyUnicode_Check(value) && !PyTuple_Check(value) && !PyList_Check(value)) {
    PyErr_Format(PyExc_TypeError, "must be a name or a tuple of names, not %.100s", Py_TYPE(value)->tp_name);
    return -1;
  }
  PyObject *names = PyUnicode_Check(value) ? PyTuple_Pack(1, value) : PySequence_Tuple(value);
  if (names == NULL) {
    return -1;
  }
  int outcome = 0;
  if (PyTuple_GET_SIZE(names) == 0) {
    PyErr_SetString(PyExc_ValueError, "must not be empty");
    outcome = -1;
  }
  for (Py_ssize_t i = 0; outcome == 0 && i < PyTuple_GET_SIZE(names); i++) {
    PyObject *name = PyTuple_GET_ITEM(names, i);
    const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
    if (PyErr_Occurred() != NULL) {
      outcome = -1;
    } else if (text == NULL || !add(rule, text)) {
      PyErr_Format(text == NULL ? PyExc_TypeError : PyExc_ValueError, "there is no %s %R", what, name);
      outcome = -1;
    }
  }
  Py_DECREF(names);
  return outcome;
}

static bool add_calls(struct fk_rule *rule, const char *name) { return fk_call_set_add(&rule->calls, name); }

static bool add_kind(struct fk_rule *rule, const char *name) {
  unsigned before = rule->targets;
  for (int target = 0; target < FK_TARGET_none; target++) {
    bool is_socket = target <= FK_TARGET_socket && strcmp(name, fk_target_name(FK_TARGET_socket)) == 0;
    if (is_socket || strcmp(name, fk_target_name((enum fk_target)target)) == 0) {
      rule->targets |= 1u << target;
    }
  }
  return rule->targets != before;
}

static bool add_where(struct fk_rule *rule, const char *name) {
  unsigned before = rule->wheres;
  for (int where = 0; where < FK_WHERE_COUNT; where++) {
    if (strcmp(name, fk_where_name((enum fk_where)where)) == 0) {
      rule->wheres |= 1u << where;
    }
  }
  return rule->wheres != before;
}

static int parse_calls(PyObject *value, struct fk_rule *rule) {
  return parse_names(value, rule, add_calls, "system call or group");
}

static int parse_kind(PyObject *value, struct fk_rule *rule) {
  return parse_names(value, rule, add_kind, "(further) kind of descriptor");
}

static int parse_where(PyObject *value, struct fk_rule *rule) {
  rule->wheres = 0;
  return parse_names(value, rule, add_where, "(further) caller");
}

/* errno.errorcode, or an attribute of the module. */
static PyObject *errno_attribute(PyObject *name) {
  PyObject *module = PyImport_ImportModule("errno");
  PyObject *value = module == NULL ? NULL : PyObject_GetAttr(module, name);
  Py_XDECREF(module);
  return value;
}

static PyObject *error_codes(void) {
  PyObject *name = PyUnicode_FromString("errorcode");
  PyObject *codes = name == NULL ? NULL : errno_attribute(name);
  Py_XDECREF(name);
  return codes;
}

PyObject *fk_error_name(int error) {
  PyObject *codes = error_codes();
  PyObject *number = codes == NULL ? NULL : PyLong_FromLong(error);
  PyObject *name = number == NULL ? NULL : PyDict_GetItemWithError(codes, number);
  if (name != NULL) {
    Py_INCREF(name);
  } else if (number != NULL && PyErr_Occurred() == NULL) {
    name = PyUnicode_FromFormat("errno %d", error);
  }
  Py_XDECREF(number);
  Py_XDECREF(codes);
  return name;
}

/* An error is a name of the module errno, or its number. */
static int parse_error(PyObject *value, struct fk_rule *rule) {
  PyObject *number = NULL;
  if (PyUnicode_Check(value)) {
    number = errno_attribute(value);
    if (number == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
      PyErr_Clear();
    }
  } else if (PyLong_Check(value)) {
    number = Py_NewRef(value);
  } else {
    PyErr_Format(PyExc_TypeError, "must be the name of an error or its number, not %.100s", Py_TYPE(value)->tp_name);
  }
  if (PyErr_Occurred() != NULL) {
    return -1;
  }
  PyObject *codes = error_codes();
  int known = codes == NULL ? -1 : number != NULL && PyLong_Check(number) ? PyDict_Contains(codes, number) : 0;
  if (known == 1) {
    rule->error = (int)PyLong_AsLong(number);
  } else if (known == 0) {
    PyErr_Format(PyExc_ValueError, "there is no error %R", value);
  }
  Py_XDECREF(codes);
  Py_XDECREF(number);
  return known == 1 ? 0 : -1;
}

struct field {
  const char *name;
  parser *parse;
  unsigned actions; /* those that have it, bits by enum fk_action */
  bool required;
  bool positional;
};

static const struct field fields[] = {
    {"calls", parse_calls, ALWAYS, true, true},
    {"error", parse_error, ONLY(fail), true, true},
    {"size", parse_size, ONLY(short), true, true},
    {"seconds", parse_seconds, ONLY(delay), true, true},
    {"nth", parse_nth, ALWAYS, false, false},
    {"count", parse_count, ALWAYS, false, false},
    {"kind", parse_kind, ALWAYS, false, false},
    {"where", parse_where, ALWAYS, false, false},
    {"probability", parse_probability, ALWAYS, false, false},
};

#define FIELD_COUNT (sizeof fields / sizeof *fields)

static bool has_field(const struct field *field, enum fk_action action) { return (field->actions >> action & 1) != 0; }

static const struct field *field_named(enum fk_action action, PyObject *name) {
  for (size_t i = 0; i < FIELD_COUNT; i++) {
    if (has_field(&fields[i], action) && PyUnicode_Check(name) &&
        PyUnicode_CompareWithASCIIString(name, fields[i].name) == 0) {
      return &fields[i];
    }
  }
  return NULL;
}

static int refuse(const char *field, const char *why) {
  PyErr_Format(PyExc_ValueError, "%s: %s", field, why);
  return -1;
}

/* Whether a set of calls has one of the table that a test holds for. */
static bool any_call(const struct fk_rule *rule, bool (*holds)(const struct fk_call *call)) {
  for (size_t i = 0; i < fk_call_count; i++) {
    if (fk_call_set_has(&rule->calls, i) && holds(&fk_calls[i])) {
      return true;
    }
  }
  return false;
}

static bool exists(const struct fk_call *call) { return call->number >= 0; }
static bool has_descriptor(const struct fk_call *call) { return call->descriptor >= 0; }
static bool moves_bytes(const struct fk_call *call) { return call->shape != FK_NO_TRANSFER; }
static bool is_close(const struct fk_call *call) { return call->number == SYS_close; }

/* Refuse what could never come true, and what would mean nothing. */
static int check_rule(const struct fk_rule *rule) {
  const unsigned children = 1u << FK_WHERE_children;
  int error = rule->error;
  if (!any_call(rule, exists)) {
    return refuse("calls", "this architecture has none of them");
  }
  if (rule->targets != 0 && !any_call(rule, has_descriptor)) {
    return refuse("kind", "none of these calls works on a descriptor");
  }
  if (rule->action == FK_ACTION_short && !any_call(rule, moves_bytes)) {
    return refuse("calls", "none of them moves bytes that can be cut");
  }
  if (rule->action == FK_ACTION_short && rule->wheres == children) {
    return refuse("where", "transfers of children cannot be cut");
  }
  if (rule->action == FK_ACTION_fail && any_call(rule, is_close)) {
    if (error != EINTR && error != EIO && error != ENOSPC && error != EDQUOT) {
      return refuse("error", "close, which closes all the same, fails with EINTR, EIO, ENOSPC or EDQUOT alone");
    }
    if ((rule->wheres & children) != 0) {
      return refuse("where", "close, which closes all the same, cannot fail in children");
    }
  }
  return 0;
}

/* Translate the fields of a rule; `given` is nobody else's. Returns 0, or -1 with an exception set. */
static int parse_fields(enum fk_action action, PyObject *given, struct fk_rule *rule) {
  PyObject *name;
  PyObject *value;
  Py_ssize_t position = 0;
  bool has_nth = false;
  bool has_count = false;
  *rule = (struct fk_rule){
      .action = action, .wheres = 1u << FK_WHERE_thread, .nth = 1, .count = UINT64_MAX, .probability = 1.0};
  while (PyDict_Next(given, &position, &name, &value)) {
    if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, FK_ACTION_KEY) == 0) {
      continue;
    }
    const struct field *field = field_named(action, name);
    if (field == NULL) {
      PyErr_Format(PyExc_TypeError, "there is no field %R", name);
      return -1;
    }
    if (field->parse(value, rule) < 0) {
      fk_prefix_error(PyUnicode_FromString(field->name));
      return -1;
    }
    has_nth = has_nth || field->parse == parse_nth;
    has_count = has_count || field->parse == parse_count;
  }
  for (size_t i = 0; i < FIELD_COUNT; i++) {
    if (fields[i].required && has_field(&fields[i], action)) {
      PyObject *key = PyUnicode_FromString(fields[i].name);
      int found = key == NULL ? -1 : PyDict_Contains(given, key);
      Py_XDECREF(key);
      if (found == 0) {
        PyErr_Format(PyExc_TypeError, "the field '%s' is missing", fields[i].name);
      }
      if (found != 1) {
        return -1;
      }
    }
  }
  if (has_nth && !has_count) {
    rule->count = 1;
  }
  return check_rule(rule);
}

enum fk_action fk_action_named(PyObject *name) {
  int action = 0;
  while (action < FK_ACTION_COUNT &&
         PyUnicode_CompareWithASCIIString(name, fk_action_name((enum fk_action)action)) != 0) {
    action++;
  }
  return (enum fk_action)action;
}

static int parse_rule(PyObject *copy, struct fk_rule *rule) {
  PyObject *name = PyDict_GetItemString(copy, FK_ACTION_KEY);
  if (name == NULL || !PyUnicode_Check(name)) {
    PyErr_SetString(PyExc_TypeError, "the action, the text under the key '" FK_ACTION_KEY "', is missing");
    return -1;
  }
  enum fk_action action = fk_action_named(name);
  if (action == FK_ACTION_COUNT) {
    PyErr_Format(PyExc_ValueError, "there is no action %R", name);
    return -1;
  }
  if (parse_fields(action, copy, rule) < 0) {
    fk_prefix_error(PyUnicode_FromString(fk_action_name(action)));
    return -1;
  }
  return 0;
}

PyObject *fk_parse_rules(PyObject *rules, struct fk_rule **parsed, size_t *count) {
  PyObject *given = PySequence_Tuple(rules);
  if (given == NULL) {
    return NULL;
  }
  Py_ssize_t size = PyTuple_GET_SIZE(given);
  PyObject *copies = NULL;
  struct fk_rule *result = NULL;
  if (size < 1 || size > MOST_RULES) {
    PyErr_Format(PyExc_ValueError, "an injector has 1 to %d rules, not %zd", MOST_RULES, size);
    goto failed;
  }
  copies = PyTuple_New(size);
  result = calloc((size_t)size, sizeof *result);
  if (copies == NULL || result == NULL) {
    if (copies != NULL) {
      PyErr_NoMemory();
    }
    goto failed;
  }
  for (Py_ssize_t i = 0; i < size; i++) {
    PyObject *rule = PyTuple_GET_ITEM(given, i);
    PyObject *copy = NULL;
    if (!PyDict_Check(rule)) {
      PyErr_Format(PyExc_TypeError, "must be a dict, not %.100s", Py_TYPE(rule)->tp_name);
    } else {
      copy = PyDict_Copy(rule);
    }
    if (copy == NULL || parse_rule(copy, &result[i]) < 0) {
      Py_XDECREF(copy);
      fk_prefix_error(PyUnicode_FromFormat("rule %zd", i + 1));
      goto failed;
    }
    PyTuple_SET_ITEM(copies, i, copy);
  }
  Py_DECREF(given);
  *parsed = result;
  *count = (size_t)size;
  return copies;

failed:
  free(result);
  Py_XDECREF(copies);
  Py_DECREF(given);
  return NULL;
}

/* Put a field into a rule that is being made; None is left out. */
static int put_field(PyObject *rule, PyObject *name, PyObject *value) {
  int found = PyDict_Contains(rule, name);
  if (found == 1) {
    PyErr_Format(PyExc_TypeError, "the field %R is given twice or does not exist", name);
  }
  return found != 0 ? -1 : value == Py_None ? 0 : PyDict_SetItem(rule, name, value);
}

static int put_positional(PyObject *rule, enum fk_action action, PyObject *args) {
  size_t field = 0;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++, field++) {
    while (field < FIELD_COUNT && (!fields[field].positional || !has_field(&fields[field], action))) {
      field++;
    }
    if (field == FIELD_COUNT) {
      PyErr_SetString(PyExc_TypeError, "too many positional arguments");
      return -1;
    }
    PyObject *name = PyUnicode_FromString(fields[field].name);
    int outcome = name == NULL ? -1 : put_field(rule, name, PyTuple_GET_ITEM(args, i));
    Py_XDECREF(name);
    if (outcome < 0) {
      return -1;
    }
  }
  return 0;
}

/* Make the dict of a rule of that action out of the arguments of a call. */
static PyObject *make_rule(enum fk_action action, PyObject *args, PyObject *kwargs) {
  PyObject *rule = PyDict_New();
  PyObject *name = PyUnicode_FromString(fk_action_name(action));
  PyObject *key;
  PyObject *value;
  Py_ssize_t position = 0;
  struct fk_rule parsed;
  if (rule == NULL || name == NULL || PyDict_SetItemString(rule, FK_ACTION_KEY, name) < 0 ||
      put_positional(rule, action, args) < 0) {
    goto failed;
  }
  while (kwargs != NULL && PyDict_Next(kwargs, &position, &key, &value)) {
    if (put_field(rule, key, value) < 0) {
      goto failed;
    }
  }
  if (parse_fields(action, rule, &parsed) < 0) {
    goto failed;
  }
  Py_DECREF(name);
  return rule;

failed:
  if (name != NULL) {
    fk_prefix_error(name);
  }
  Py_XDECREF(rule);
  return NULL;
}

#define MAKER(name)                                                                                                    \
  static PyObject *make_##name(PyObject *module, PyObject *args, PyObject *kwargs) {                                   \
    (void)module;                                                                                                      \
    return make_rule(FK_ACTION_##name, args, kwargs);                                                                  \
  }
FK_ACTIONS(MAKER)

#include "rule_docs.h"

PyMethodDef fk_rule_methods[] = {
#define METHOD(name) {#name, (PyCFunction)(void (*)(void))make_##name, METH_VARARGS | METH_KEYWORDS, name##_doc},
    FK_ACTIONS(METHOD){NULL, NULL, 0, NULL},
};
