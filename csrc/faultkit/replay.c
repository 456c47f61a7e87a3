/* rules_from(): a trace becomes the rules that do the same again. */
#include "module.h"

/* Copy an attribute of a call of a trace into a rule; None is left out. */
static int copy_field(PyObject *rule, const char *field, PyObject *call, const char *attribute) {
  PyObject *value = PyObject_GetAttrString(call, attribute);
  int outcome = value == NULL ? -1 : value == Py_None ? 0 : PyDict_SetItemString(rule, field, value);
  Py_XDECREF(value);
  return outcome;
}

/* Append the rule that does to a call of a trace what was done to it, if anything was. Returns 0, or -1 with an
 * exception set. */
static int append_rule_of(PyObject *list, PyObject *call) {
  static const char *const field_of_result[] = {
      [FK_ACTION_allow] = NULL, [FK_ACTION_fail] = "error", [FK_ACTION_short] = "size", [FK_ACTION_delay] = "seconds"};
  PyObject *name = PyObject_GetAttrString(call, "action");
  PyObject *result = name == NULL ? NULL : PyObject_GetAttrString(call, "result");
  PyObject *rule = NULL;
  int outcome = -1;
  if (result == NULL) {
    goto done;
  }
  enum fk_action action = PyUnicode_Check(name) ? fk_action_named(name) : FK_ACTION_COUNT;
  if (action == FK_ACTION_COUNT) {
    PyErr_Format(PyExc_ValueError, "there is no action %R", name);
    goto done;
  }
  /* A short transfer that found the end of the stream or an error was not cut by us. */
  int moved = action != FK_ACTION_short ? 1 : PyLong_Check(result) ? PyObject_IsTrue(result) : 0;
  if (action == FK_ACTION_allow || moved <= 0) {
    outcome = moved < 0 ? -1 : 0;
    goto done;
  }
  rule = PyDict_New();
  if (rule != NULL && PyDict_SetItemString(rule, FK_ACTION_KEY, name) == 0 &&
      copy_field(rule, "calls", call, "call") == 0 &&
      PyDict_SetItemString(rule, field_of_result[action], result) == 0 && copy_field(rule, "nth", call, "nth") == 0 &&
      copy_field(rule, "kind", call, "kind") == 0 && copy_field(rule, "where", call, "where") == 0) {
    outcome = PyList_Append(list, rule);
  }
done:
  Py_XDECREF(rule);
  Py_XDECREF(result);
  Py_XDECREF(name);
  return outcome;
}

PyObject *fk_rules_from(PyObject *module, PyObject *trace) {
  (void)module;
  PyObject *calls = PySequence_Tuple(trace);
  PyObject *list = calls == NULL ? NULL : PyList_New(0);
  for (Py_ssize_t i = 0; list != NULL && i < PyTuple_GET_SIZE(calls); i++) {
    if (append_rule_of(list, PyTuple_GET_ITEM(calls, i)) < 0) {
      Py_CLEAR(list);
    }
  }
  PyObject *rules = list == NULL ? NULL : PyList_AsTuple(list);
  Py_XDECREF(list);
  Py_XDECREF(calls);
  return rules;
}

PyDoc_STRVAR(rules_from_doc,
             "rules_from($module, trace, /)\n--\n\n"
             "Return a tuple of rules that do again what was done to the calls of a trace, to each the same.\n\n"
             "A call is found again as the nth of its name, its caller and its kind of descriptor.");

PyMethodDef fk_replay_methods[] = {
    {"rules_from", fk_rules_from, METH_O, rules_from_doc},
    {NULL, NULL, 0, NULL},
};
