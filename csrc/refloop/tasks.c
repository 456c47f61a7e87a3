/* Futures and tasks of the loop: create_future(), create_task() and its factory. */

#include "arguments.h"
#include "loop.h"

/* type(argument, loop=loop), the argument may be NULL, with the keywords that a running loop has at hand: a vectorcall
   would make a dictionary of them each time. */
static PyObject *make(struct loop *loop, PyObject *type, PyObject *argument) {
  PyObject *keywords = Py_NewRef(loop->itself); /* the run may end in another thread meanwhile */
  PyObject *args = argument != NULL ? PyTuple_Pack(1, argument) : PyTuple_New(0);
  PyObject *made = args != NULL ? PyObject_Call(type, args, keywords) : NULL;

  Py_XDECREF(args);
  Py_DECREF(keywords);
  return made;
}

PyObject *loop_new_future(struct loop *loop) {
  struct core_state *state = loop->state;
  PyObject *stack[2] = {NULL, (PyObject *)loop};

  if (loop->itself != NULL)
    return make(loop, state->future_type, NULL);
  return PyObject_Vectorcall(state->future_type, stack + 1, PY_VECTORCALL_ARGUMENTS_OFFSET, state->keywords_loop);
}

PyDoc_STRVAR(create_future_doc, "create_future($self, /)\n--\n\nA new asyncio.Future of this loop.");

static PyObject *create_future(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  return loop_new_future((struct loop *)self);
}

/* The keywords of a call with loop= in front. Returns a new reference, or NULL with an exception. */
static PyObject *keywords_with_loop(struct core_state *state, PyObject *keywords) {
  Py_ssize_t count = keywords != NULL ? PyTuple_GET_SIZE(keywords) : 0;
  PyObject *with_loop;

  if (count == 0)
    return Py_NewRef(state->keywords_loop);
  if (count == 1 && PyTuple_GET_ITEM(keywords, 0) == state->str_name)
    return Py_NewRef(state->keywords_loop_name);
  if (count == 1 && PyTuple_GET_ITEM(keywords, 0) == state->str_context)
    return Py_NewRef(state->keywords_loop_context);
  if (count == 2 && PyTuple_GET_ITEM(keywords, 0) == state->str_name &&
      PyTuple_GET_ITEM(keywords, 1) == state->str_context)
    return Py_NewRef(state->keywords_loop_name_context);
  if ((with_loop = PyTuple_New(count + 1)) == NULL)
    return NULL;
  PyTuple_SET_ITEM(with_loop, 0, Py_NewRef(state->str_loop));
  for (Py_ssize_t i = 0; i < count; i++)
    PyTuple_SET_ITEM(with_loop, i + 1, Py_NewRef(PyTuple_GET_ITEM(keywords, i)));
  return with_loop;
}

/* asyncio.Task(coro, loop=self, **keywords). */
static PyObject *new_task(struct loop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  enum { MOST_KEYWORDS = 8 };
  PyObject *stack[3 + MOST_KEYWORDS], *with_loop, *task;
  Py_ssize_t named = keywords != NULL ? PyTuple_GET_SIZE(keywords) : 0;

  if (named > MOST_KEYWORDS) {
    PyErr_SetString(PyExc_TypeError, "create_task() got too many keyword arguments");
    return NULL;
  }
  if (loop->itself != NULL && nargs && !named)
    return make(loop, loop->state->task_type, args[0]);
  stack[0] = NULL;
  if (nargs)
    stack[1] = args[0];
  stack[1 + nargs] = (PyObject *)loop;
  memcpy(stack + 2 + nargs, args + nargs, (size_t)named * sizeof(*stack));
  if ((with_loop = keywords_with_loop(loop->state, keywords)) == NULL)
    return NULL;
  task =
      PyObject_Vectorcall(loop->state->task_type, stack + 1, (size_t)nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, with_loop);
  Py_DECREF(with_loop);
  return task;
}

PyDoc_STRVAR(create_task_doc, "create_task($self, coro, **kwargs)\n--\n\n"
                              "Schedule a coroutine; the keywords are those of asyncio.Task, or of the task factory.");

static PyObject *create_task(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct loop *loop = (struct loop *)self;

  if (nargs > 1) {
    PyErr_Format(PyExc_TypeError, "create_task() takes 1 positional argument but %zd were given", nargs);
    return NULL;
  }
  if (loop_check_open(loop) < 0)
    return NULL;
  if (loop->task_factory == NULL)
    return new_task(loop, args, nargs, keywords);
  {
    PyObject *method = PyObject_GetAttr(self, loop->state->str_create_task_by_factory), *task;
    if (method == NULL)
      return NULL;
    task = PyObject_Vectorcall(method, args, (size_t)nargs, keywords);
    Py_DECREF(method);
    return task;
  }
}

PyDoc_STRVAR(set_task_factory_doc, "set_task_factory($self, factory)\n--\n\n"
                                   "Have create_task() call factory(loop, coro, **kwargs); None for asyncio.Task.");

static PyObject *set_task_factory(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
  struct loop *loop = (struct loop *)self;
  PyObject *factory = arguments_only("set_task_factory", loop->state->str_factory, args, nargs, keywords);

  if (factory == NULL)
    return NULL;
  if (factory != Py_None && !PyCallable_Check(factory)) {
    PyErr_SetString(PyExc_TypeError, "task factory must be a callable or None");
    return NULL;
  }
  Py_XSETREF(loop->task_factory, factory == Py_None ? NULL : Py_NewRef(factory));
  Py_RETURN_NONE;
}

PyDoc_STRVAR(get_task_factory_doc, "get_task_factory($self, /)\n--\n\nThe task factory, None for asyncio.Task.");

static PyObject *get_task_factory(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  PyObject *factory = ((struct loop *)self)->task_factory;

  return Py_NewRef(factory != NULL ? factory : Py_None);
}

PyMethodDef loop_task_methods[] = {
    {"create_future", create_future, METH_NOARGS, create_future_doc},
    {"create_task", WITH_KEYWORDS(create_task), create_task_doc},
    {"set_task_factory", WITH_KEYWORDS(set_task_factory), set_task_factory_doc},
    {"get_task_factory", get_task_factory, METH_NOARGS, get_task_factory_doc},
    {NULL, NULL, 0, NULL},
};
