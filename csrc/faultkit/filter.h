/* The seccomp filter that sends chosen system calls to a supervisor. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_FILTER_H
#define LOOPPROOF_FAULTKIT_FILTER_H

#include "calls.h"

/* Bind a filter to the calling thread, for good: its calls of the set, and those of the threads and children that it
 * starts, wait from then on for an answer on the descriptor that is returned. `certain`: a signal must not undo a call
 * once it was taken up, which needs Linux 5.19. Returns -1 and sets errno on failure. */
int fk_filter_install(const struct fk_call_set *calls, bool certain);

/* Find out in a thread of its own, which ends at once, whether the kernel lets a thread do so. Returns 0 or an error
 * number: ENOSYS, EINVAL (kernel too old, or without seccomp), EPERM, EACCES (forbidden, by a container's own filter
 * for instance), EBUSY (somebody listens to this thread's calls already), EOPNOTSUPP (kernel too old for `certain`). */
int fk_filter_probe(bool certain);

#endif
