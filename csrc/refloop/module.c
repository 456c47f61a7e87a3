/* The extension module refloop._core. */

#include <Python.h>

#include <uv.h>

static int module_exec(PyObject *module) {
  return PyModule_AddStringConstant(module, "libuv_version", uv_version_string());
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "refloop._core",
    .m_doc = "The reference event loop in C on libuv.",
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&module_def); }
