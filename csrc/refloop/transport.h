/* What all transports of byte streams are: state, life, flow control, the paths of reading and writing. Sockets and
   pipes differ in what struct transport_kind says. */

#ifndef REFLOOP_TRANSPORT_H
#define REFLOOP_TRANSPORT_H

#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <structmember.h>
#include <sys/types.h>

#include "callee.h"
#include "compat.h"
#include "server.h"
#include "write_queue.h"

struct iovec;
struct loop;
struct transport;

/* What differs between transports. Texts are those of asyncio. */
struct transport_kind {
  ssize_t (*receive)(int fd, void *memory, size_t size);
  ssize_t (*send)(int fd, const void *memory, size_t size);
  ssize_t (*send_vector)(int fd, const struct iovec *vector, size_t count);
  /* Called in the context of reading when there is something to read. These three return 0, or -1 with an exception
     that is to leave the run. */
  int (*read)(struct transport *transport);
  /* Called by the path of reading when the other side has ended its stream. */
  int (*at_end)(struct transport *transport);
  /* Called when all is written after write_eof(). */
  int (*end_stream)(struct transport *transport);
  /* What get_extra_info() returns for a name that is not in the dictionary: a new reference, or NULL, with an exception
     or without one if there is nothing of that name. NULL if all is there. */
  PyObject *(*describe)(struct transport *transport, PyObject *name);
  bool (*is_quiet)(PyObject *exception); /* a fatal error that is usual, and only logged in debug mode */
  PyObject *(*refuse)(PyObject *data);   /* raises what write() raises if that is no data; returns NULL */
  const char *read_failed;
  const char *write_failed;
  const char *data_failed;      /* data_received() raised something */
  const char *write_after_loss; /* the warning */
  bool data_failure_is_fatal;
  bool half_open_writes; /* write() goes on after close() until what is queued is written */
};

/* The object begins like one of asyncio.BaseTransport, whose slot `extra` is. */
struct transport {
  PyObject_HEAD PyObject *extra; /* a dictionary, or NULL */
  PyObject *attributes;          /* of the instance, or NULL */
  PyObject *weakrefs;            /* the interpreter's */
  const struct transport_kind *kind;
  struct loop *loop;
  PyObject *file;          /* the socket or pipe object of the descriptor, NULL if it has none, or is not open */
  PyObject *protocol;      /* None after the connection is lost */
  PyObject *server;        /* or NULL */
  struct server_link link; /* among the transports of that */
  PyObject *context;       /* that all callbacks run in, NULL for a copy of the one that is current in each call */
  PyObject *read_context;  /* that reading was started in, or NULL */
  PyObject *write_context; /* that queueing was started in, or NULL */
  PyObject *limits;        /* (low, high) as get_write_buffer_limits() returns them; NULL for the default */
  size_t low_water, high_water;
  struct write_queue queue;
  struct pollee reading, writing;
  int fd;               /* -1 if there never was one */
  unsigned lost_writes; /* since the connection is lost */
  unsigned expected;    /* bytes that the next reading may find */
  bool open;            /* the descriptor is, and the transport's to close: until the connection is lost */
  bool numbered;        /* the file is a socket object, in which its own idea of the descriptor can be seen */
  bool reads;           /* reading is of use, if only to learn that the other side has gone */
  bool buffered;        /* the protocol is an asyncio.BufferedProtocol */
  bool closing;         /* close() was called, or the connection is lost */
  bool lost;            /* connection_lost() was called, or is queued */
  bool paused;          /* reading is, by pause_reading() */
  bool eof;             /* write_eof() was called */
  bool ended;           /* the other side has ended its stream: there is nothing more to read */
  bool protocol_paused; /* writing is, by us */
};

/* The arguments of a transport's constructor, all borrowed; those that are NULL or None are not there. */
struct transport_arguments {
  struct loop *loop;
  PyObject *file; /* NULL if there is only a descriptor */
  int fd;         /* then */
  PyObject *protocol, *waiter, *extra, *server, *context;
};

/* Fills in a new object, on whose failure the file, or the descriptor, is still the caller's. Returns 0, or -1 with an
   exception. */
int transport_set_up(struct transport *transport, const struct transport_kind *kind,
                     const struct transport_arguments *arguments);

/* Takes over the file or descriptor, tells the server, and queues connection_made() and what comes after it. The same.
 */
int transport_start(struct transport *transport, const struct transport_arguments *arguments);

/* Puts an object into the extra information; steals the reference, and fails if that is NULL. */
int transport_set_extra(struct transport *transport, PyObject *key, PyObject *value);

/* Queues a call of a callback, which is released, with an argument or, if that is NULL, none. Fails if the callback is
   NULL. Returns 0, or -1 with an exception. */
int transport_call_soon(struct transport *transport, PyObject *callback, PyObject *argument);

/* Ends reading, and the transport when what is queued is written. Nothing if it is closing. Returns 0, or -1 with an
   exception. */
int transport_begin_close(struct transport *transport);

/* Ends both directions at once, drops what is queued, and queues connection_lost() with the exception, which may be
   None. Nothing if that is queued already. Returns 0; or -1 with an exception: nothing has changed then, unless the
   loop is closed. */
int transport_lose(struct transport *transport, PyObject *exception);

/* Deals with the exception that is set, after which the transport cannot go on: it is reported, or for an OSError
   logged in debug mode, and given to connection_lost(). Returns 0, or -1 with one that is to leave the run. */
int transport_fatal(struct transport *transport, const char *message);

/* Reports the exception that is set to the loop's exception handler. Returns 0, or -1 with one that is to leave the
   run. */
int transport_report(struct transport *transport, const char *message);

/* Logs a text, in which "%r" is the transport, with an exception or NULL, at a level of the logger. Returns 0, or -1
   with an exception. */
int transport_log(struct transport *transport, PyObject *level, const char *text, PyObject *exception);

/* Logs a warning. Returns 0, or -1 with an exception. */
int transport_warn(struct transport *transport, const char *text);

/* A new reference to the context for callbacks that are set up now; NULL with an exception. */
PyObject *transport_new_context(struct transport *transport);

/* Notes the object of the descriptor; a reference is taken over. */
void transport_set_file(struct transport *transport, PyObject *file);

/* Whether the descriptor still is that of the file, which may have been closed behind our back. */
static inline bool transport_owns_fd(const struct transport *transport) {
  return !transport->numbered || number_in_socket(transport->file) == transport->fd;
}

static inline struct transport *transport_of_reading(struct pollee *pollee) {
  return (struct transport *)((char *)pollee - offsetof(struct transport, reading));
}

static inline struct transport *transport_of_writing(struct pollee *pollee) {
  return (struct transport *)((char *)pollee - offsetof(struct transport, writing));
}

/* Makes a type on a class of asyncio and adds it to the module. Returns a new reference, or NULL with an exception. */
PyTypeObject *transport_make_type(PyObject *module, const char *base, PyType_Spec *spec);

#define TRANSPORT_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC)

/* The slots that all types have. */
#define TRANSPORT_SLOTS                                                                                                \
  {Py_tp_init, (void *)transport_init}, {Py_tp_dealloc, (void *)transport_dealloc},                                    \
      {Py_tp_finalize, (void *)transport_finalize}, {Py_tp_traverse, (void *)transport_traverse},                      \
      {Py_tp_clear, (void *)transport_clear}, {                                                                        \
    Py_tp_members, transport_members                                                                                   \
  }

int transport_init(PyObject *self, PyObject *args, PyObject *keywords);
int transport_traverse(PyObject *self, visitproc visit, void *arg);
int transport_clear(PyObject *self);
void transport_dealloc(PyObject *self);
void transport_finalize(PyObject *self);
extern PyMemberDef transport_members[];

/* The methods that all types have. */
#define TRANSPORT_METHODS                                                                                              \
  {"close", transport_close, METH_NOARGS, transport_close_doc},                                                        \
      {"get_extra_info", (PyCFunction)(void (*)(void))transport_get_extra_info, METH_VARARGS | METH_KEYWORDS,          \
       transport_get_extra_info_doc},                                                                                  \
      {"is_closing", transport_is_closing, METH_NOARGS, transport_is_closing_doc},                                     \
      {"get_protocol", transport_get_protocol, METH_NOARGS, transport_get_protocol_doc},                               \
      {"set_protocol", transport_set_protocol, METH_O, transport_set_protocol_doc},                                    \
      {"_begin", transport_begin, METH_O, NULL}, {                                                                     \
    "_call_connection_lost", transport_call_connection_lost, METH_O, NULL                                              \
  }

extern const char transport_close_doc[], transport_get_extra_info_doc[], transport_is_closing_doc[],
    transport_get_protocol_doc[], transport_set_protocol_doc[];
PyObject *transport_get_extra_info(PyObject *self, PyObject *args, PyObject *keywords);
PyObject *transport_close(PyObject *self, PyObject *ignored);
PyObject *transport_is_closing(PyObject *self, PyObject *ignored);
PyObject *transport_get_protocol(PyObject *self, PyObject *ignored);
PyObject *transport_set_protocol(PyObject *self, PyObject *protocol);
PyObject *transport_begin(PyObject *self, PyObject *waiter);
PyObject *transport_call_connection_lost(PyObject *self, PyObject *exception);

#endif
