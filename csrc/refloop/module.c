/* The extension module refloop._core: its definition and its state. */

#include <Python.h>

#include <stddef.h>
#include <uv.h>

#include "handle.h"
#include "listener.h"
#include "loop.h"
#include "pipe.h"
#include "server.h"
#include "sockops.h"
#include "state.h"
#include "stream.h"

struct imported {
  size_t offset;
  const char *module;
  const char *name;
};

struct interned {
  size_t offset;
  const char *text;
};

#define AT(field) offsetof(struct core_state, field)

static const struct imported imports[] = {
    {AT(future_type), "asyncio", "Future"},
    {AT(task_type), "asyncio", "Task"},
    {AT(get_running_loop), "asyncio", "_get_running_loop"},
    {AT(set_running_loop), "asyncio", "_set_running_loop"},
    {AT(extract_stack), "asyncio.format_helpers", "extract_stack"},
    {AT(is_coroutine), "asyncio", "iscoroutine"},
    {AT(is_coroutine_function), "inspect", "iscoroutinefunction"},
    {AT(get_asyncgen_hooks), "sys", "get_asyncgen_hooks"},
    {AT(set_asyncgen_hooks), "sys", "set_asyncgen_hooks"},
    {AT(main_thread), "threading", "main_thread"},
    {AT(set_wakeup_fd), "signal", "set_wakeup_fd"},
    {AT(logger), "asyncio.log", "logger"},
    {AT(buffered_protocol_type), "asyncio", "BufferedProtocol"},
    {AT(transport_socket_type), "asyncio.trsock", "TransportSocket"},
    {AT(socket_type), "socket", "SocketType"},
    {AT(python_socket_type), "socket", "socket"},
};

static const struct interned names[] = {
    {AT(str_accept), "accept"},
    {AT(str_address), "address"},
    {AT(str_buf), "buf"},
    {AT(str_bufsize), "bufsize"},
    {AT(str_callback), "callback"},
    {AT(str_context), "context"},
    {AT(str_data), "data"},
    {AT(str_delay), "delay"},
    {AT(str_factory), "factory"},
    {AT(str_fd), "fd"},
    {AT(str_fileno), "fileno"},
    {AT(str_ident), "ident"},
    {AT(str_loop), "loop"},
    {AT(str_name), "name"},
    {AT(str_nbytes), "nbytes"},
    {AT(str_recv), "recv"},
    {AT(str_recv_into), "recv_into"},
    {AT(str_recvfrom), "recvfrom"},
    {AT(str_recvfrom_into), "recvfrom_into"},
    {AT(str_send), "send"},
    {AT(str_sendto), "sendto"},
    {AT(str_set_result), "set_result"},
    {AT(str_setblocking), "setblocking"},
    {AT(str_sock), "sock"},
    {AT(str_time), "time"},
    {AT(str_when), "when"},
    {AT(str_asyncgen_finalizer_hook), "_asyncgen_finalizer_hook"},
    {AT(str_asyncgen_firstiter_hook), "_asyncgen_firstiter_hook"},
    {AT(str_asyncio_future_blocking), "_asyncio_future_blocking"},
    {AT(str_callback_failed), "_callback_failed"},
    {AT(str_callback_was_slow), "_callback_was_slow"},
    {AT(str_check_socket), "_check_socket"},
    {AT(str_create_task_by_factory), "_create_task_by_factory"},
    {AT(str_set_coroutine_origin_tracking), "_set_coroutine_origin_tracking"},
    {AT(str_begin), "_begin"},
    {AT(str_buffer_updated), "buffer_updated"},
    {AT(str_call_connection_lost), "_call_connection_lost"},
    {AT(str_call_exception_handler), "call_exception_handler"},
    {AT(str_cancelled), "cancelled"},
    {AT(str_close), "close"},
    {AT(str_connection_lost), "connection_lost"},
    {AT(str_connection_made), "connection_made"},
    {AT(str_data_received), "data_received"},
    {AT(str_debug), "debug"},
    {AT(str_detach), "detach"},
    {AT(str_eof_received), "eof_received"},
    {AT(str_get_buffer), "get_buffer"},
    {AT(str_getpeername), "getpeername"},
    {AT(str_getsockname), "getsockname"},
    {AT(str_info), "info"},
    {AT(str_pause_writing), "pause_writing"},
    {AT(str_peername), "peername"},
    {AT(str_pipe), "pipe"},
    {AT(str_resume_writing), "resume_writing"},
    {AT(str_socket), "socket"},
    {AT(str_sockname), "sockname"},
    {AT(str_wake_up), "_wake_up"},
};

/* What the module's state refers to, beyond the tables above. */
static const size_t others[] = {
    AT(loop_type),         AT(handle_type),        AT(timer_handle_type),     AT(own_time),
    AT(socket_call_type),  AT(socket_recv),        AT(socket_recv_into),      AT(socket_send),
    AT(keywords_loop),     AT(keywords_loop_name), AT(keywords_loop_context), AT(keywords_loop_name_context),
    AT(keywords_exc_info), AT(minus_one),          AT(socket_transport_type), AT(server_type),
    AT(socket_accept),
};

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

static PyObject **field(struct core_state *state, size_t offset) { return (PyObject **)((char *)state + offset); }

static int import_all(struct core_state *state) {
  for (size_t i = 0; i < COUNT(imports); i++) {
    PyObject *module = PyImport_ImportModule(imports[i].module);

    if (module == NULL)
      return -1;
    *field(state, imports[i].offset) = PyObject_GetAttrString(module, imports[i].name);
    Py_DECREF(module);
    if (*field(state, imports[i].offset) == NULL)
      return -1;
  }
  return 0;
}

static int intern_all(struct core_state *state) {
  for (size_t i = 0; i < COUNT(names); i++) {
    *field(state, names[i].offset) = PyUnicode_InternFromString(names[i].text);
    if (*field(state, names[i].offset) == NULL)
      return -1;
  }
  state->keywords_loop = PyTuple_Pack(1, state->str_loop);
  state->keywords_loop_name = PyTuple_Pack(2, state->str_loop, state->str_name);
  state->keywords_loop_context = PyTuple_Pack(2, state->str_loop, state->str_context);
  state->keywords_loop_name_context = PyTuple_Pack(3, state->str_loop, state->str_name, state->str_context);
  state->keywords_exc_info = Py_BuildValue("(s)", "exc_info");
  state->minus_one = PyLong_FromLong(-1);
  return state->keywords_exc_info && state->minus_one && state->keywords_loop && state->keywords_loop_name &&
                 state->keywords_loop_context && state->keywords_loop_name_context
             ? 0
             : -1;
}

static int module_exec(PyObject *module) {
  struct core_state *state = PyModule_GetState(module);

  if (import_all(state) < 0 || intern_all(state) < 0 || handle_types_init(module) < 0 || sockops_init(module) < 0 ||
      loop_type_init(module) < 0 || server_type_init(module) < 0 || stream_type_init(module) < 0 ||
      pipe_types_init(module) < 0 || listener_type_init(module) < 0)
    return -1;
  return PyModule_AddStringConstant(module, "libuv_version", uv_version_string());
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
  struct core_state *state = PyModule_GetState(module);

  for (size_t i = 0; i < COUNT(imports); i++)
    Py_VISIT(*field(state, imports[i].offset));
  for (size_t i = 0; i < COUNT(others); i++)
    Py_VISIT(*field(state, others[i]));
  return 0; /* strings are in no cycles */
}

/* Nothing is released before: loops use the state as long as they live. The cycles of the module
   with its types are broken by the types, which let go of the module. */
static void module_free(void *module) {
  struct core_state *state = PyModule_GetState((PyObject *)module);

  if (state == NULL)
    return;
  handle_free_lists_clear(state);
  for (size_t i = 0; i < COUNT(imports); i++)
    Py_CLEAR(*field(state, imports[i].offset));
  for (size_t i = 0; i < COUNT(names); i++)
    Py_CLEAR(*field(state, names[i].offset));
  for (size_t i = 0; i < COUNT(others); i++)
    Py_CLEAR(*field(state, others[i]));
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_USED}, /* the GIL is what protects a loop from call_soon_threadsafe() */
#endif
    {0, NULL},
};

struct PyModuleDef core_module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "refloop._core",
    .m_doc = "The reference event loop in C on libuv.",
    .m_size = sizeof(struct core_state),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&core_module); }
