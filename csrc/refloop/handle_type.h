/* What the types Handle and TimerHandle take from handle.c. */

#ifndef REFLOOP_HANDLE_TYPE_H
#define REFLOOP_HANDLE_TYPE_H

#include <Python.h>

int handle_traverse(PyObject *self, visitproc visit, void *arg);
int handle_clear(PyObject *self);
void handle_dealloc(PyObject *self);

#endif
