/* The interpreter's allocators, made to fail. They belong to the process: one use at a time. */
#ifndef LOOPPROOF_FAULTKIT_ALLOCATORS_H
#define LOOPPROOF_FAULTKIT_ALLOCATORS_H

#include "module.h"

#include "allocations.h"

/* Put our hooks on the allocators of a set of domains, 1 << enum fk_domain each, and begin to count. Returns 0, or -1
 * with RuntimeError if they are in use already, or earlier hooks of ours cannot be taken off. */
int fk_allocators_hook(unsigned domains, uint64_t first, uint64_t count, const unsigned long *thread);

/* End counting and put back what was there before. Returns 0, or -1 with RuntimeError if somebody else has changed the
 * allocators meanwhile; nothing fails any more in any case. */
int fk_allocators_unhook(void);

/* What was counted since they were hooked, or the last time. */
struct fk_allocations *fk_allocators_counted(void);

/* Whether the allocations of the calling thread neither count nor fail. Returns what was set before. */
bool fk_allocators_exempt(bool exempt);

#endif
