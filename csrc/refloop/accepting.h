/* Accepting connections by a system call of our own: the object of socket.accept() loses the descriptor when there is
   no memory for it. */

#ifndef REFLOOP_ACCEPTING_H
#define REFLOOP_ACCEPTING_H

#include <Python.h>

#include <sys/socket.h>

struct core_state;

/* Accepts a connection, which does not block. Returns its descriptor, or -1 with errno. */
int accepting_accept(int fd, struct sockaddr_storage *peer, socklen_t *peer_length);

/* The socket object of a descriptor that does not block, which it takes over, also if that fails. Returns a new
   reference, or NULL with an exception. */
PyObject *accepting_socket(struct core_state *state, int family, int type, int protocol, int fd);

#endif
