/* Socket addresses as objects of Python. */

#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

bool address_is_known(int family) { return family == AF_INET || family == AF_INET6 || family == AF_UNIX; }

static PyObject *of_ipv4(const struct sockaddr_in *address) {
  char host[INET_ADDRSTRLEN];

  if (inet_ntop(AF_INET, &address->sin_addr, host, sizeof(host)) == NULL)
    return PyErr_SetFromErrno(PyExc_OSError);
  return Py_BuildValue("(si)", host, (int)ntohs(address->sin_port));
}

static PyObject *of_ipv6(const struct sockaddr_in6 *address) {
  char host[INET6_ADDRSTRLEN];

  if (inet_ntop(AF_INET6, &address->sin6_addr, host, sizeof(host)) == NULL)
    return PyErr_SetFromErrno(PyExc_OSError);
  return Py_BuildValue("(siII)", host, (int)ntohs(address->sin6_port), (unsigned)ntohl(address->sin6_flowinfo),
                       (unsigned)address->sin6_scope_id);
}

/* A path; bytes if it is in the abstract namespace; "" for a socket without a name. */
static PyObject *of_unix(const struct sockaddr_un *address, socklen_t length) {
  size_t size = length - offsetof(struct sockaddr_un, sun_path);

  if (size > 0 && address->sun_path[0] == '\0')
    return PyBytes_FromStringAndSize(address->sun_path, (Py_ssize_t)size);
  return PyUnicode_DecodeFSDefaultAndSize(address->sun_path, (Py_ssize_t)strnlen(address->sun_path, size));
}

PyObject *address_object(const struct sockaddr_storage *address, socklen_t length) {
  if (length < offsetof(struct sockaddr_un, sun_path))
    Py_RETURN_NONE;
  if (address->ss_family == AF_INET)
    return of_ipv4((const struct sockaddr_in *)address);
  if (address->ss_family == AF_INET6)
    return of_ipv6((const struct sockaddr_in6 *)address);
  return of_unix((const struct sockaddr_un *)address, length);
}
