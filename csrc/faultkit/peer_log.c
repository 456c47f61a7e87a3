/* What is told of the steps of a peer: the entries of its log, and the failure that verify() raises. */
#include "peer_type.h"

#define LINES 20 /* of the log in a failure */

static PyStructSequence_Field entry_fields[] = {
    {"step", "number of the step in the script, from 1"},
    {"verb", "what the step does"},
    {"state", "'running', 'done', 'failed', 'late' (the deadline passed), or 'stopped'"},
    {"started", "when it began, in seconds of time.monotonic()"},
    {"ended", "when it ended, None while it runs"},
    {"bytes", "bytes sent or received; where the step verifies: found right"},
    {"detail", "why it failed, else empty"},
    {NULL, NULL},
};

static PyStructSequence_Desc entry_description = {
    .name = "loopproof.faultkit.Entry",
    .doc = "What happened in one step of a peer.",
    .fields = entry_fields,
    .n_in_sequence = 7,
};

static const char *name_of_state(enum fk_state state) {
  static const char *const names[] = {
      [FK_PENDING] = "pending", [FK_RUNNING] = "running", [FK_DONE] = "done",
      [FK_FAILED] = "failed",   [FK_LATE] = "late",       [FK_STOPPED] = "stopped",
  };
  return names[state];
}

PyTypeObject *fk_make_entry_type(void) { return PyStructSequence_NewType(&entry_description); }

static PyObject *seconds_of(int64_t time) {
  if (time == 0) {
    Py_RETURN_NONE;
  }
  return PyFloat_FromDouble((double)time / (double)FK_SECOND);
}

static PyObject *make_entry(PyTypeObject *type, size_t step, enum fk_verb verb, const struct fk_record *record) {
  PyObject *values[] = {
      PyLong_FromSize_t(step + 1),
      PyUnicode_FromString(fk_verb_name(verb)),
      PyUnicode_FromString(name_of_state(record->state)),
      seconds_of(record->started),
      seconds_of(record->ended),
      PyLong_FromUnsignedLongLong(record->bytes),
      PyUnicode_DecodeUTF8(record->detail, (Py_ssize_t)strlen(record->detail), "replace"),
  };
  return fk_struct_of(type, values, sizeof values / sizeof *values);
}

PyObject *fk_make_log(PeerObject *self, PyTypeObject *entry_type) {
  PyObject *list = PyList_New(0);
  for (size_t step = 0; list != NULL && step < self->peer->script.count; step++) {
    struct fk_record record = fk_peer_record(self->peer, step);
    if (record.state == FK_PENDING) {
      break;
    }
    PyObject *entry = make_entry(entry_type, step, self->peer->script.steps[step].verb, &record);
    if (entry == NULL || PyList_Append(list, entry) < 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(entry);
  }
  PyObject *log = list == NULL ? NULL : PyList_AsTuple(list);
  Py_XDECREF(list);
  return log;
}

/* One line of the log: "  +0.000123 s step 2, send(data=b'x'): done, 1 bytes". */
static PyObject *line_of(PeerObject *self, size_t step, const struct fk_record *record, int64_t origin) {
  PyObject *line = NULL;
  PyObject *what = fk_describe_step(PyTuple_GET_ITEM(self->script, (Py_ssize_t)step));
  if (what != NULL) {
    int64_t since = (record->started - origin) / 1000;
    line = PyUnicode_FromFormat("  +%lld us  step %zu, %U: %s, %llu bytes", (long long)since, step + 1, what,
                                name_of_state(record->state), (unsigned long long)record->bytes);
    Py_DECREF(what);
  }
  return line;
}

void fk_raise_failure(PeerObject *self, size_t step, const struct fk_record *failed) {
  size_t count = self->peer->script.count;
  PyObject *message = NULL;
  PyObject *what = fk_describe_step(PyTuple_GET_ITEM(self->script, (Py_ssize_t)step));
  if (what == NULL) {
    return;
  }
  if (failed->state == FK_FAILED) {
    message = PyUnicode_FromFormat("the peer failed in step %zu of %zu, %U: %s", step + 1, count, what, failed->detail);
  } else if (failed->state == FK_LATE) {
    PyObject *seconds = PyFloat_FromDouble(self->deadline);
    message = seconds == NULL ? NULL
                              : PyUnicode_FromFormat("the deadline of the peer (%R s) passed in step %zu of %zu, "
                                                     "%U, after %llu bytes of it",
                                                     seconds, step + 1, count, what, (unsigned long long)failed->bytes);
    Py_XDECREF(seconds);
  } else {
    message = PyUnicode_FromFormat("the peer was stopped in step %zu of %zu, %U, after %llu bytes of it", step + 1,
                                   count, what, (unsigned long long)failed->bytes);
  }
  Py_DECREF(what);
  int64_t origin = fk_peer_record(self->peer, 0).started;
  for (size_t i = step > LINES ? step - LINES : 0; message != NULL && i <= step; i++) {
    struct fk_record record = fk_peer_record(self->peer, i);
    PyObject *line = line_of(self, i, &record, origin);
    PyObject *longer = line == NULL ? NULL : PyUnicode_FromFormat("%U\n%U", message, line);
    Py_XDECREF(line);
    Py_SETREF(message, longer);
  }
  if (message != NULL) {
    PyErr_SetObject(PyExc_AssertionError, message);
    Py_DECREF(message);
  }
}
