/* Docstrings of the functions that make rules; included once, by rules.c. */

#define COMMON                                                                                                         \
  "calls: a system call ('read', 'recv'), a group ('reading': see call_groups()), a pattern ('epoll_*'), or a tuple\n" \
  "of such. nth: the one match that is meant, from 1; count: how many from there on (without nth and count every\n"    \
  "one is). kind: what the descriptor is open on, one or a tuple of 'tcp', 'udp', 'unix', 'unix-datagram',\n"          \
  "'socket' (any of them), 'pipe', 'file', 'device', 'eventfd', 'epoll', 'timerfd', 'signalfd', 'pidfd',\n"            \
  "'io_uring', 'other', 'closed'; a child's socket is only known as 'socket'. where: whose call it is, one or a\n"     \
  "tuple of 'thread', 'threads' (those that it started), 'children'. probability: that a match is chosen, drawn\n"     \
  "from the injector's seed.\n\nRaises ValueError or TypeError that names the field."

#define SELECTION "*, nth=None, count=None, kind=None, where='thread', probability=1.0"

PyDoc_STRVAR(allow_doc,
             "allow($module, /, calls, " SELECTION ")\n--\n\n"
             "Rule: let these calls through, so that no later rule has them. The trace shows them.\n\n" COMMON);
PyDoc_STRVAR(
    fail_doc,
    "fail($module, /, calls, error, " SELECTION ")\n--\n\n"
    "Rule: these calls do nothing and fail with an error, a name of the module errno or its number.\n\n"
    "Only close does its work before it fails (with EINTR, EIO, ENOSPC or EDQUOT), as the kernel's does:\n"
    "whoever repeats it closes what has the number by then. After EAGAIN, who polls edge-triggered gets a new\n"
    "event if the descriptor is ready, as it would be. An accept() that fails leaves the connection in\n"
    "the queue; a clone() may be the start of a thread; execve() is the call of a child.\n\n" COMMON);
PyDoc_STRVAR(
    short_doc,
    "short($module, /, calls, size, " SELECTION ")\n--\n\n"
    "Rule: these reads and writes move at most that many bytes, from 1.\n\n"
    "Only what is cut without a loss is cut, on a stream (TCP, UNIX, pipe, file, device): other calls pass,\n"
    "and so do those that would have to wait, and those of children: the rule's turn is still to come then. Who polls\n"
    "edge-triggered gets a new event if there is more to do, because a short transfer may be taken as the "
    "last.\n\n" COMMON);
PyDoc_STRVAR(delay_doc, "delay($module, /, calls, seconds, " SELECTION ")\n--\n\n"
                        "Rule: these calls begin that many seconds later. Signals wait as long, and so does whoever\n"
                        "wants the GIL if the call is made with it.\n\n" COMMON);
