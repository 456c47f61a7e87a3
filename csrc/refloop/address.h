/* Socket addresses as objects of Python. */

#ifndef REFLOOP_ADDRESS_H
#define REFLOOP_ADDRESS_H

#include <Python.h>

#include <stdbool.h>
#include <sys/socket.h>

/* Whether addresses of this family are known here: those of IP and of UNIX sockets. */
bool address_is_known(int family);

/* An address of a known family, as the methods of socket objects return it; None if it is empty. Returns a new
   reference, or NULL with an exception. */
PyObject *address_object(const struct sockaddr_storage *address, socklen_t length);

#endif
