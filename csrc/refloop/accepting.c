/* Accepting connections by a system call of our own. */

#include "accepting.h"

#include <unistd.h>

#include "state.h"

int accepting_accept(int fd, struct sockaddr_storage *peer, socklen_t *peer_length) {
  *peer_length = sizeof(*peer);
  return accept4(fd, (struct sockaddr *)peer, peer_length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

PyObject *accepting_socket(struct core_state *state, int family, int type, int protocol, int fd) {
  PyObject *sock = PyObject_CallFunction(state->python_socket_type, "iiii", family, type | SOCK_NONBLOCK, protocol, fd);

  if (sock == NULL)
    close(fd);
  return sock;
}
