/* Socket addresses as objects of Python. */

#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

bool address_is_known(int family) { return family == AF_INET || family == AF_INET6 || family == AF_UNIX; }

/* Writes a byte in decimal digits; returns the end. */
static char *put_byte(char *text, unsigned char byte) {
  if (byte >= 100)
    *text++ = (char)('0' + byte / 100);
  if (byte >= 10)
    *text++ = (char)('0' + byte / 10 % 10);
  *text++ = (char)('0' + byte % 10);
  return text;
}

/* A pair of what may be NULL: both references are stolen. */
static PyObject *pair(PyObject *first, PyObject *second) {
  PyObject *both = first != NULL && second != NULL ? PyTuple_Pack(2, first, second) : NULL;

  Py_XDECREF(first);
  Py_XDECREF(second);
  return both;
}

/* By hand: each connection has several of these, and inet_ntop() is as slow as all else that a transport needs. */
static PyObject *of_ipv4(const struct sockaddr_in *address) {
  const unsigned char *bytes = (const unsigned char *)&address->sin_addr;
  char host[INET_ADDRSTRLEN], *end = host;

  for (int i = 0; i < 4; i++) {
    end = put_byte(end, bytes[i]);
    *end++ = '.';
  }
  return pair(PyUnicode_FromStringAndSize(host, end - host - 1), PyLong_FromLong(ntohs(address->sin_port)));
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
