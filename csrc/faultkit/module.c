/* The extension module loopproof.faultkit. */
#include "module.h"

#include "page.h"

static int add_methods(PyObject *module) {
  PyMethodDef *tables[] = {fk_step_methods,    fk_pattern_methods, fk_descriptor_methods,
                           fk_process_methods, fk_memory_methods,  fk_crash_methods,
                           fk_rule_methods,    fk_replay_methods,  fk_kernel_methods};
  for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
    if (PyModule_AddFunctions(module, tables[i]) < 0) {
      return -1;
    }
  }
  return 0;
}

static int add_observed(PyObject *module, struct fk_module *state) {
  PyStructSequence_Desc *const descriptions[FK_OBSERVED] = {
      [FK_DESCRIPTOR] = &fk_descriptor_description,
      [FK_THREAD] = &fk_thread_description,
      [FK_CHILD] = &fk_child_description,
      [FK_RESIDENT] = &fk_resident_description,
  };
  for (size_t i = 0; i < FK_OBSERVED; i++) {
    state->observed[i] = PyStructSequence_NewType(descriptions[i]);
    if (state->observed[i] == NULL || PyModule_AddType(module, state->observed[i]) < 0) {
      return -1;
    }
  }
  return 0;
}

static int module_exec(PyObject *module) {
  struct fk_module *state = PyModule_GetState(module);
  return add_methods(module) < 0 || add_observed(module, state) < 0 || fk_add_peer_type(module, state) < 0 ||
                 fk_add_buffer_type(module) < 0 || fk_add_injector_type(module, state) < 0 ||
                 fk_add_allocation_faults(module, state) < 0
             ? -1
             : 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
  struct fk_module *state = PyModule_GetState(module);
  Py_VISIT(state->peer_type);
  Py_VISIT(state->entry_type);
  Py_VISIT(state->injector_type);
  Py_VISIT(state->call_type);
  Py_VISIT(state->failure_type);
  for (size_t i = 0; i < FK_OBSERVED; i++) {
    Py_VISIT(state->observed[i]);
  }
  return 0;
}

static int module_clear(PyObject *module) {
  struct fk_module *state = PyModule_GetState(module);
  Py_CLEAR(state->peer_type);
  Py_CLEAR(state->entry_type);
  Py_CLEAR(state->injector_type);
  Py_CLEAR(state->call_type);
  Py_CLEAR(state->failure_type);
  for (size_t i = 0; i < FK_OBSERVED; i++) {
    Py_CLEAR(state->observed[i]);
  }
  return 0;
}

static void module_free(void *module) {
  (void)module_clear(module);
  fk_supervisors_release(&((struct fk_module *)PyModule_GetState(module))->supervisors);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_def = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "loopproof.faultkit",
    .m_doc = page,
    .m_size = sizeof(struct fk_module),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit_faultkit(void) { return PyModuleDef_Init(&module_def); }
