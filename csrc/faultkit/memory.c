/* mappings(), resident(), reset_peak(): the memory of this process. */
#include "module.h"

#include "procfs.h"
#include "procstat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MAPS "/proc/self/maps"
#define CLEAR_REFS "/proc/self/clear_refs"
#define STATUS "/proc/self/status"

static const char *const backing_names[FK_BACKINGS] = {
    [FK_ANONYMOUS] = "anonymous", [FK_HEAP] = "heap",         [FK_STACK] = "stack",     [FK_BACKED_BY_FILE] = "file",
    [FK_SHARED] = "shared",       [FK_RESERVED] = "reserved", [FK_SPECIAL] = "special",
};

PyStructSequence_Desc fk_resident_description = {
    .name = "loopproof.faultkit.Resident",
    .doc = "Resident memory of this process, in bytes.",
    .fields =
        (PyStructSequence_Field[]){
            {"current", "bytes now"},
            {"peak", "the most since the process began, or reset_peak()"},
            {NULL, NULL},
        },
    .n_in_sequence = 2,
};

static PyObject *mappings(PyObject *module, PyObject *unused) {
  struct fk_mappings counted;
  (void)module;
  (void)unused;
  char *text = fk_read_whole(MAPS, NULL);
  if (text == NULL) {
    return PyErr_SetFromErrnoWithFilename(PyExc_OSError, MAPS);
  }
  bool understood = fk_count_mappings(text, &counted);
  free(text);
  if (!understood) {
    PyErr_SetString(PyExc_OSError, MAPS " does not read as proc(5) says");
    return NULL;
  }
  PyObject *result = PyDict_New();
  for (int backing = 0; result != NULL && backing < FK_BACKINGS; backing++) {
    PyObject *value =
        Py_BuildValue("(nK)", (Py_ssize_t)counted.count[backing], (unsigned long long)counted.bytes[backing]);
    if (value == NULL || PyDict_SetItemString(result, backing_names[backing], value) < 0) {
      Py_CLEAR(result);
    }
    Py_XDECREF(value);
  }
  return result;
}

static PyObject *resident(PyObject *module, PyObject *unused) {
  struct fk_module *state = PyModule_GetState(module);
  (void)unused;
  char *text = fk_read_whole(STATUS, NULL);
  if (text == NULL) {
    return PyErr_SetFromErrnoWithFilename(PyExc_OSError, STATUS);
  }
  int64_t current = fk_find_bytes(text, "VmRSS");
  int64_t peak = fk_find_bytes(text, "VmHWM");
  free(text);
  if (current < 0 || peak < 0) {
    PyErr_SetString(PyExc_OSError, STATUS " does not read as proc(5) says");
    return NULL;
  }
  PyObject *const values[] = {PyLong_FromLongLong(current), PyLong_FromLongLong(peak)};
  return fk_struct_of(state->observed[FK_RESIDENT], values, 2);
}

static PyObject *reset_peak(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  int file = open(CLEAR_REFS, O_WRONLY | O_CLOEXEC);
  ssize_t written = file < 0 ? -1 : write(file, "5", 1);
  int reason = errno;
  if (file >= 0) {
    close(file);
  }
  if (written < 0) {
    errno = reason;
    return PyErr_SetFromErrnoWithFilename(PyExc_OSError, CLEAR_REFS);
  }
  Py_RETURN_NONE;
}

PyDoc_STRVAR(mappings_doc,
             "mappings($module, /)\n--\n\n"
             "Return a dict of the memory mappings of this process: kind to (count, bytes of address space).\n\n"
             "Kinds: 'anonymous', 'heap', 'stack', 'file' (private, of a file), 'shared', 'reserved' (no access, as\n"
             "guard pages), 'special' (of the kernel). Raises OSError where /proc is not there, or is not to be read.");
PyDoc_STRVAR(resident_doc, "resident($module, /)\n--\n\n"
                           "Return the Resident memory of this process: bytes now, and the most so far.\n\n"
                           "The kernel's own counters, which may lag behind by some pages a processor before Linux\n"
                           "6.17. Raises OSError where /proc is not there, or is not to be read.");
PyDoc_STRVAR(reset_peak_doc, "reset_peak($module, /)\n--\n\n"
                             "Let the peak of resident() be counted anew from what is resident now.\n\n"
                             "Raises OSError where the kernel does not allow it (/proc/self/clear_refs).");

PyMethodDef fk_memory_methods[] = {
    {"mappings", mappings, METH_NOARGS, mappings_doc},
    {"resident", resident, METH_NOARGS, resident_doc},
    {"reset_peak", reset_peak, METH_NOARGS, reset_peak_doc},
    {NULL, NULL, 0, NULL},
};
