/* Which guarded buffer an address belongs to: a table of the process that a signal handler may read. */
#ifndef LOOPPROOF_FAULTKIT_GUARDS_H
#define LOOPPROOF_FAULTKIT_GUARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most guarded buffers that a process has at a time. (A mapping is two or three areas of memory for the kernel, which
 * gives a process 65,530 of them unless told otherwise.) */
#define FK_MOST_GUARDS 32768

/* Bytes of a name with the zero at its end, and of the longest description. */
#define FK_GUARD_NAME 64
#define FK_DESCRIPTION 256

enum fk_guard_state { FK_WRITABLE, FK_READONLY, FK_RELEASED, FK_MOVED };

enum fk_access { FK_UNKNOWN_ACCESS, FK_READ, FK_WRITE, FK_EXECUTE };

/* A mapping [low, high) and the `size` bytes of data in it. */
struct fk_guard {
  uintptr_t low;
  uintptr_t high;
  uintptr_t data;
  size_t size;
  enum fk_guard_state state;
  char name[FK_GUARD_NAME];
};

/* Enter a guard. Returns its number, or -1 if the table is full. These three may be called from any thread. */
int fk_guards_add(const struct fk_guard *guard);
void fk_guards_change(int number, enum fk_guard_state state);
void fk_guards_remove(int number);

/* Find the guard that an address belongs to. Async-signal-safe. Returns whether there is one. */
bool fk_guards_find(uintptr_t address, struct fk_guard *guard);

/* Describe a forbidden access, "guarded buffer 'reply': write at offset 10, 1 byte past its end (size 10)", without a
 * newline. Async-signal-safe. Returns the length of the text. */
size_t fk_guard_describe(const struct fk_guard *guard, uintptr_t address, enum fk_access access,
                         char text[FK_DESCRIPTION]);

#endif
