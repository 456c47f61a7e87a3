/* Server: what a server is to its transports, which it knows as long as they live. */

#ifndef REFLOOP_SERVER_H
#define REFLOOP_SERVER_H

#include <Python.h>

struct core_state;
struct transport;

/* The place of a transport in the ring of its server's. */
struct server_link {
  struct server_link *next, *previous;
};

/* Makes a transport, which has none, one of a server's; it takes a reference to the server. */
void server_attach(PyObject *server, struct transport *transport);

/* Undoes that, if the transport has a server, and tells the server when that was the last one. Returns 0, or -1 with an
   exception. */
int server_detach(struct transport *transport);

/* The same without a word, for a transport that is about to go away. */
void server_forget(struct transport *transport);

/* Makes the type. Returns 0, or -1 with an exception. */
int server_type_init(PyObject *module);

#endif
