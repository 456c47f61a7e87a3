/* Doing a part of another thread's read or write. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_TRANSFERS_H
#define LOOPPROOF_FAULTKIT_TRANSFERS_H

#include "calls.h"

/* What fk_transfer_part returns if it did nothing. */
#define FK_NOT_DONE INT64_MIN

/* How many bytes a call of a thread of this process is about; 0 if it moves none or that cannot be told. */
uint64_t fk_transfer_size(const struct fk_call *call, const uint64_t arguments[6]);

/* Move at most `limit` bytes (at least 1) in place of a thread of this process, on a stream: what is cut anywhere else
 * (a datagram, the number in an eventfd) would be lost. It never waits. Returns how many bytes were moved, or the
 * negative error number. FK_NOT_DONE: the call has to be left to the kernel, because it has to wait, or the kernel
 * offers no way to do it without the risk that this thread has to. */
int64_t fk_transfer_part(const struct fk_call *call, const uint64_t arguments[6], uint64_t limit);

/* Close a descriptor of this process, for a close() that is going to report an error: on Linux the descriptor is gone
 * then. Returns 0, or FK_NOT_DONE if that may wait (a socket that lingers) or it is not open. */
int64_t fk_close_in_place(int descriptor);

#endif
