/* Server: what a server is to its transports, which it knows as long as they live. */

#include "server.h"

#include <stddef.h>

#include "loop.h"
#include "state.h"
#include "transport.h"

/* The transports are in a ring with the server, each with a reference to it, and not the other way round: one that
   nobody has any more goes away, and leaves the ring. */
struct server {
  PyObject_HEAD struct server_link ring;
};

static struct server *as_server(PyObject *self) { return (struct server *)self; }

static PyObject *transport_of(struct server_link *link) {
  return (PyObject *)((char *)link - offsetof(struct transport, link));
}

void server_attach(PyObject *server, struct transport *transport) {
  struct server_link *ring = &as_server(server)->ring, *link = &transport->link;

  transport->server = Py_NewRef(server);
  *link = (struct server_link){.next = ring, .previous = ring->previous};
  link->previous->next = ring->previous = link;
}

/* Takes a transport out of the ring. Returns its reference to the server, NULL if it has none. */
static PyObject *take_out(struct transport *transport) {
  PyObject *server = transport->server;

  transport->server = NULL;
  if (server != NULL) {
    transport->link.next->previous = transport->link.previous;
    transport->link.previous->next = transport->link.next;
  }
  return server;
}

int server_detach(struct transport *transport) {
  PyObject *server = take_out(transport), *told;
  int failed = 0;

  if (server == NULL)
    return 0;
  if (as_server(server)->ring.next == &as_server(server)->ring) {
    told = PyObject_CallMethodNoArgs(server, transport->loop->state->str_wake_up);
    failed = told == NULL ? -1 : 0;
    Py_XDECREF(told);
  }
  Py_DECREF(server);
  return failed;
}

void server_forget(struct transport *transport) { Py_XDECREF(take_out(transport)); }

PyDoc_STRVAR(transports_doc, "_transports($self, /)\n--\n\nThe transports that it has, in the order of their making.");

static PyObject *transports(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct server_link *ring = &as_server(self)->ring;
  PyObject *list = PyList_New(0);

  for (struct server_link *link = ring->next; list != NULL && link != ring; link = link->next) {
    if (PyList_Append(list, transport_of(link)) < 0)
      Py_CLEAR(list);
  }
  return list;
}

PyDoc_STRVAR(wake_up_doc, "_wake_up($self, /)\n--\n\nIs called when the last transport has gone.");

static PyObject *wake_up(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) { Py_RETURN_NONE; }

static PyObject *server_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords)) {
  struct server *server = (struct server *)type->tp_alloc(type, 0);

  if (server != NULL)
    server->ring.next = server->ring.previous = &server->ring;
  return (PyObject *)server;
}

static int server_traverse(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  return 0;
}

static void server_dealloc(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);

  PyObject_GC_UnTrack(self);
  type->tp_free(self);
  Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"_transports", transports, METH_NOARGS, transports_doc},
    {"_wake_up", wake_up, METH_NOARGS, wake_up_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)"What a server is to its transports; refloop.servers.Server completes it."},
    {Py_tp_new, (void *)server_new},
    {Py_tp_dealloc, (void *)server_dealloc},
    {Py_tp_traverse, (void *)server_traverse},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "refloop._core.Server",
    .basicsize = sizeof(struct server),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int server_type_init(PyObject *module) {
  struct core_state *state = PyModule_GetState(module);

  state->server_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
  return state->server_type != NULL ? PyModule_AddType(module, state->server_type) : -1;
}
