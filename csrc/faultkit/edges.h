/* Events for those who poll edge-triggered. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_EDGES_H
#define LOOPPROOF_FAULTKIT_EDGES_H

/* Have every epoll instance of this process that polls the descriptor edge-triggered report it again, if it is ready.
 *
 * EAGAIN, and a transfer of less than was asked for (epoll(7)), promise to whoever polls so that an event follows when
 * it is worth while to try again. Where we made them up, the kernel knows of no such promise. */
void fk_edges_renew(int descriptor);

#endif
