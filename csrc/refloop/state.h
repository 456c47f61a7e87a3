/* The state of the module: its types, what it uses of other modules, and its memory of freed
 * handles. */

#ifndef REFLOOP_STATE_H
#define REFLOOP_STATE_H

#include <Python.h>

#include <stdbool.h>

struct handle;

struct core_state {
  PyTypeObject *loop_type;
  PyTypeObject *handle_type;
  PyTypeObject *timer_handle_type;
  PyTypeObject *socket_call_type;
  PyTypeObject *socket_transport_type;
  PyTypeObject *server_type;

  PyObject *future_type;            /* asyncio.Future */
  PyObject *task_type;              /* asyncio.Task */
  PyObject *get_running_loop;       /* asyncio._get_running_loop */
  PyObject *set_running_loop;       /* asyncio._set_running_loop */
  PyObject *extract_stack;          /* asyncio.format_helpers.extract_stack */
  PyObject *is_coroutine;           /* asyncio.iscoroutine */
  PyObject *is_coroutine_function;  /* inspect.iscoroutinefunction */
  PyObject *get_asyncgen_hooks;     /* sys.get_asyncgen_hooks */
  PyObject *set_asyncgen_hooks;     /* sys.set_asyncgen_hooks */
  PyObject *main_thread;            /* threading.main_thread */
  PyObject *set_wakeup_fd;          /* signal.set_wakeup_fd */
  PyObject *own_time;               /* the descriptor of Loop.time */
  PyObject *logger;                 /* asyncio's */
  PyObject *buffered_protocol_type; /* asyncio.BufferedProtocol */
  PyObject *transport_socket_type;  /* asyncio.trsock.TransportSocket */
  PyTypeObject *socket_type;        /* socket.SocketType: what socket.socket is derived from */
  PyObject *python_socket_type;     /* socket.socket */
  bool sees_numbers;                /* number_in_socket() is right */
  PyObject *socket_accept;          /* methods of socket.socket, most of them inherited */
  PyObject *socket_recv;
  PyObject *socket_recv_into;
  PyObject *socket_send;
  PyObject *minus_one;

  PyObject *keywords_loop; /* ("loop",) and so on, for calls */
  PyObject *keywords_loop_name;
  PyObject *keywords_loop_context;
  PyObject *keywords_loop_name_context;
  PyObject *keywords_exc_info;

  PyObject *str_accept;
  PyObject *str_address;
  PyObject *str_buf;
  PyObject *str_bufsize;
  PyObject *str_callback;
  PyObject *str_context;
  PyObject *str_data;
  PyObject *str_delay;
  PyObject *str_factory;
  PyObject *str_fd;
  PyObject *str_fileno;
  PyObject *str_ident;
  PyObject *str_loop;
  PyObject *str_name;
  PyObject *str_nbytes;
  PyObject *str_recv;
  PyObject *str_recv_into;
  PyObject *str_recvfrom;
  PyObject *str_recvfrom_into;
  PyObject *str_send;
  PyObject *str_sendto;
  PyObject *str_set_result;
  PyObject *str_setblocking;
  PyObject *str_sock;
  PyObject *str_time;
  PyObject *str_when;
  PyObject *str_asyncgen_finalizer_hook;
  PyObject *str_asyncgen_firstiter_hook;
  PyObject *str_asyncio_future_blocking;
  PyObject *str_callback_failed;
  PyObject *str_callback_was_slow;
  PyObject *str_check_socket;
  PyObject *str_create_task_by_factory;
  PyObject *str_set_coroutine_origin_tracking;
  PyObject *str_begin;
  PyObject *str_buffer_updated;
  PyObject *str_call_connection_lost;
  PyObject *str_call_exception_handler;
  PyObject *str_cancelled;
  PyObject *str_close;
  PyObject *str_connection_lost;
  PyObject *str_connection_made;
  PyObject *str_data_received;
  PyObject *str_debug;
  PyObject *str_detach;
  PyObject *str_eof_received;
  PyObject *str_get_buffer;
  PyObject *str_getpeername;
  PyObject *str_getsockname;
  PyObject *str_info;
  PyObject *str_pause_writing;
  PyObject *str_peername;
  PyObject *str_pipe;
  PyObject *str_resume_writing;
  PyObject *str_socket;
  PyObject *str_sockname;
  PyObject *str_wake_up;

  /* Freed handles for reuse, chained through their callback. */
  struct handle *free_handles;
  struct handle *free_timer_handles;
  unsigned free_handle_count;
  unsigned free_timer_handle_count;
};

extern struct PyModuleDef core_module;

#endif
