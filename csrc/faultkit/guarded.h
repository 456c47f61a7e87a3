/* Memory between inaccessible pages: an access that leaves it ends the process, and the report names it. */
#ifndef LOOPPROOF_FAULTKIT_GUARDED_H
#define LOOPPROOF_FAULTKIT_GUARDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The inaccessible pages on each side come to at least so much: more than loops read or write in one go. */
#define FK_GUARD_WIDTH ((size_t)1 << 20)

/* Which of the inaccessible pages the data touches. */
enum fk_flush { FK_UPPER, FK_LOWER };

/* Where the parts of a mapping are, in bytes from its beginning: guard, accessible pages, guard. */
struct fk_placement {
  size_t mapped;     /* size of the whole */
  size_t pages;      /* begin of the accessible pages */
  size_t accessible; /* size of the accessible pages */
  size_t data;       /* begin of the data in them */
};

/* Place `size` bytes at a multiple of `align` (a power of two, at most the size of a page). Returns 0, or -1 if that is
 * more than an address space. */
int fk_guarded_place(size_t size, size_t align, enum fk_flush flush, size_t page, struct fk_placement *placement);

struct fk_guarded {
  uint8_t *mapping; /* NULL: there is none */
  uint8_t *data;
  size_t size;
  struct fk_placement placement;
  int number; /* in the table of guards */
  bool released;
};

/* Size of a page of memory in bytes. */
size_t fk_page_size(void);

/* Map `size` bytes, all zero; memory that is not touched costs nothing. The rest of the accessible pages, the margin,
 * is filled with a pattern. The name is at most FK_GUARD_NAME - 1 bytes. Returns 0, or an errno: ENOMEM, or ENFILE if
 * there are FK_MOST_GUARDS already. */
int fk_guarded_map(struct fk_guarded *guarded, const char *name, size_t size, size_t align, enum fk_flush flush);

/* Writing into the data ends the process from now on. Returns 0 or an errno. */
int fk_guarded_protect(struct fk_guarded *guarded);

/* Any access to the data ends the process from now on; its memory is given back and its addresses are not.
 * `moved`: because the buffer has other memory now. Returns 0 or an errno. */
int fk_guarded_release(struct fk_guarded *guarded, bool moved);

/* Copy the first `size` bytes of one to the other; what is zero and was not touched still costs nothing after that. */
void fk_guarded_copy(struct fk_guarded *target, const struct fk_guarded *source, size_t size);

/* Give everything back; does nothing if nothing is mapped. */
void fk_guarded_unmap(struct fk_guarded *guarded);

/* Find the first byte of the margin that was written to. Returns whether there is one; its offset from the data, which
 * may be negative, is stored. The data must not have been released. */
bool fk_guarded_damage(const struct fk_guarded *guarded, ptrdiff_t *offset);

#endif
