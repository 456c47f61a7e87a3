/* descriptors(), descriptor(): what this process has open, exactly and cheaply, and one of them in full. */
#include "module.h"

#include "openfile.h"
#include "procfs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define DIRECTORY "/proc/self/fd"
#define PYTHON_ERROR 1

PyStructSequence_Desc fk_descriptor_description = {
    .name = "loopproof.faultkit.Descriptor",
    .doc = "What a descriptor is open on.",
    .fields =
        (PyStructSequence_Field[]){
            {"number", "the descriptor"},
            {"kind", "'file', 'directory', 'device', 'socket', 'pipe'; 'epoll', 'eventfd', 'timerfd', 'pidfd', ..."},
            {"device", "the device that has the inode"},
            {"inode", "the number of the inode"},
            {"target", "the kernel's words: a path, 'socket:[INODE]', 'anon_inode:[eventpoll]'"},
            {"family", "of a socket, as socket.AF_INET; else None"},
            {"type", "of a socket, as socket.SOCK_STREAM; else None"},
            {"local", "address of a socket, as socket.getsockname() has it; None if there is none"},
            {"remote", "address of what it is connected to, as socket.getpeername() has it; None if there is none"},
            {"listening", "whether it is a socket that listens"},
            {"watches", "of an epoll set: tuple of (descriptor, inode) as they were registered"},
            {NULL, NULL},
        },
    .n_in_sequence = 11,
};

static int add_descriptor(long number, int directory, void *context) {
  struct fk_identity identity;
  (void)directory;
  if (fk_identify((int)number, &identity) < 0) {
    return 0; /* closed meanwhile by another thread */
  }
  PyObject *key = PyLong_FromLong(number);
  PyObject *value =
      Py_BuildValue("(sKK)", identity.kind, (unsigned long long)identity.device, (unsigned long long)identity.inode);
  int outcome = key == NULL || value == NULL ? -1 : PyDict_SetItem(context, key, value);
  Py_XDECREF(key);
  Py_XDECREF(value);
  return outcome < 0 ? PYTHON_ERROR : 0;
}

static PyObject *descriptors(PyObject *module, PyObject *unused) {
  PyObject *result = PyDict_New();
  (void)module;
  (void)unused;
  int outcome = result == NULL ? PYTHON_ERROR : fk_walk(DIRECTORY, add_descriptor, result);
  if (outcome != 0) {
    Py_CLEAR(result);
  }
  return outcome < 0 ? PyErr_SetFromErrnoWithFilename(PyExc_OSError, DIRECTORY) : result;
}

/* Abstract names, which begin with a NUL, are bytes, as the socket module has them; unnamed sockets have ''. */
static PyObject *unix_address(const struct sockaddr_un *address, socklen_t size) {
  size_t room = size > offsetof(struct sockaddr_un, sun_path) ? size - offsetof(struct sockaddr_un, sun_path) : 0;
  if (room > 0 && address->sun_path[0] == '\0') {
    return PyBytes_FromStringAndSize(address->sun_path, (Py_ssize_t)room);
  }
  return PyUnicode_DecodeFSDefaultAndSize(address->sun_path, (Py_ssize_t)strnlen(address->sun_path, room));
}

/* An address as the socket module has it; None where there is none, or of a family that is not known here. */
static PyObject *address_of(const struct sockaddr_storage *address, socklen_t size) {
  char text[INET6_ADDRSTRLEN];
  if (size == 0) {
    Py_RETURN_NONE;
  }
  switch (address->ss_family) {
  case AF_UNIX:
    return unix_address((const struct sockaddr_un *)address, size);
  case AF_INET: {
    const struct sockaddr_in *ip4 = (const struct sockaddr_in *)address;
    (void)inet_ntop(AF_INET, &ip4->sin_addr, text, sizeof text); /* the family is known, and there is room */
    return Py_BuildValue("(si)", text, (int)ntohs(ip4->sin_port));
  }
  case AF_INET6: {
    const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)address;
    (void)inet_ntop(AF_INET6, &ip6->sin6_addr, text, sizeof text);
    return Py_BuildValue("(siII)", text, (int)ntohs(ip6->sin6_port), (unsigned)ntohl(ip6->sin6_flowinfo),
                         (unsigned)ip6->sin6_scope_id);
  }
  default:
    Py_RETURN_NONE;
  }
}

/* What an epoll set watches, a new tuple; NULL with an exception set. */
static PyObject *watches_of(int number) {
  char path[48];
  struct fk_watched watched;
  (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", number);
  char *text = fk_read_whole(path, NULL);
  if (text == NULL) {
    return PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
  }
  PyObject *list = PyList_New(0);
  const char *at = text;
  while (list != NULL && fk_next_watched(&at, &watched)) {
    PyObject *entry = Py_BuildValue("(iK)", watched.descriptor, (unsigned long long)watched.inode);
    if (entry == NULL || PyList_Append(list, entry) < 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(entry);
  }
  free(text);
  PyObject *result = list == NULL ? NULL : PyList_AsTuple(list);
  Py_XDECREF(list);
  return result;
}

static PyObject *descriptor(PyObject *module, PyObject *argument) {
  struct fk_module *state = PyModule_GetState(module);
  struct fk_identity identity;
  struct fk_socket about = {0};
  char target[PATH_MAX];
  int number = PyObject_AsFileDescriptor(argument);
  if (number < 0) {
    return NULL;
  }
  if (fk_identify(number, &identity) < 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  ssize_t size = fk_target(number, target, sizeof target);
  if (size < 0) {
    return PyErr_SetFromErrnoWithFilename(PyExc_OSError, DIRECTORY);
  }
  bool is_socket = strcmp(identity.kind, "socket") == 0;
  if (is_socket && fk_ask_socket(number, &about) < 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  PyObject *const values[] = {
      PyLong_FromLong(number),
      PyUnicode_FromString(identity.kind),
      PyLong_FromUnsignedLongLong(identity.device),
      PyLong_FromUnsignedLongLong(identity.inode),
      PyUnicode_DecodeFSDefaultAndSize(target, size),
      is_socket ? PyLong_FromLong(about.family) : Py_NewRef(Py_None),
      is_socket ? PyLong_FromLong(about.type) : Py_NewRef(Py_None),
      address_of(&about.local, about.local_size),
      address_of(&about.remote, about.remote_size),
      PyBool_FromLong(about.listening),
      strcmp(identity.kind, "epoll") == 0 ? watches_of(number) : PyTuple_New(0),
  };
  return fk_struct_of(state->observed[FK_DESCRIPTOR], values, sizeof values / sizeof *values);
}

PyDoc_STRVAR(descriptors_doc,
             "descriptors($module, /)\n--\n\n"
             "Return a dict of the open descriptors of this process: number to what it is open on.\n\n"
             "That is (kind, device, inode): see Descriptor. A number that was closed and given to something else has\n"
             "another one, except that the kernel has one inode for all epoll sets, all eventfds, and their like.\n\n"
             "Raises OSError where /proc is not there, or is not to be read.");
PyDoc_STRVAR(descriptor_doc,
             "descriptor($module, fd, /)\n--\n\n"
             "Return a Descriptor that tells what a descriptor, or an object with fileno(), is open on.\n\n"
             "Raises OSError if it is not open, or where /proc is not there; ValueError if it is negative.");

PyMethodDef fk_descriptor_methods[] = {
    {"descriptors", descriptors, METH_NOARGS, descriptors_doc},
    {"descriptor", descriptor, METH_O, descriptor_doc},
    {NULL, NULL, 0, NULL},
};
