/* Mapping and unmapping of guarded memory. */
#include "guarded.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guards.h"
#include "pattern.h"

#define BLOCK ((size_t)4096)
#define MARGIN_SEED UINT64_C(0x6d617267696e)

size_t fk_page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static size_t round_up(size_t size, size_t unit) { return (size + unit - 1) & ~(unit - 1); }

int fk_guarded_place(size_t size, size_t align, enum fk_flush flush, size_t page, struct fk_placement *placement) {
  size_t width = round_up(FK_GUARD_WIDTH, page);
  if (size > PTRDIFF_MAX - 2 * width - page) {
    return -1;
  }
  placement->pages = width;
  placement->accessible = round_up(size, page);
  placement->mapped = width + placement->accessible + width;
  placement->data = width + (flush == FK_LOWER ? 0 : placement->accessible - round_up(size, align));
  return 0;
}

static size_t margin_below(const struct fk_guarded *guarded) {
  return guarded->placement.data - guarded->placement.pages;
}

static size_t margin_above(const struct fk_guarded *guarded) {
  return guarded->placement.accessible - margin_below(guarded) - guarded->size;
}

static int open_pages(struct fk_guarded *guarded) {
  uint8_t *pages = guarded->mapping + guarded->placement.pages;
  if (guarded->placement.accessible != 0 &&
      mprotect(pages, guarded->placement.accessible, PROT_READ | PROT_WRITE) < 0) {
    return errno;
  }
  fk_pattern_fill(pages, margin_below(guarded), MARGIN_SEED, 0);
  fk_pattern_fill(guarded->data + guarded->size, margin_above(guarded), MARGIN_SEED, 0);
  return 0;
}

static int enter(struct fk_guarded *guarded, const char *name) {
  struct fk_guard guard = {
      .low = (uintptr_t)guarded->mapping,
      .high = (uintptr_t)guarded->mapping + guarded->placement.mapped,
      .data = (uintptr_t)guarded->data,
      .size = guarded->size,
      .state = FK_WRITABLE,
  };
  size_t length = strlen(name);
  if (length >= sizeof guard.name) {
    return ENAMETOOLONG;
  }
  memcpy(guard.name, name, length);
  guarded->number = fk_guards_add(&guard);
  return guarded->number < 0 ? ENFILE : 0;
}

int fk_guarded_map(struct fk_guarded *guarded, const char *name, size_t size, size_t align, enum fk_flush flush) {
  struct fk_guarded made = {.size = size, .number = -1};
  if (fk_guarded_place(size, align, flush, fk_page_size(), &made.placement) < 0) {
    return ENOMEM;
  }
  void *mapping = mmap(NULL, made.placement.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) {
    return errno;
  }
  made.mapping = mapping;
  made.data = made.mapping + made.placement.data;
  int reason = open_pages(&made);
  if (reason == 0) {
    reason = enter(&made, name);
  }
  if (reason != 0) {
    munmap(mapping, made.placement.mapped);
    return reason;
  }
  *guarded = made;
  return 0;
}

int fk_guarded_protect(struct fk_guarded *guarded) {
  if (guarded->placement.accessible != 0 &&
      mprotect(guarded->mapping + guarded->placement.pages, guarded->placement.accessible, PROT_READ) < 0) {
    return errno;
  }
  fk_guards_change(guarded->number, FK_READONLY);
  return 0;
}

int fk_guarded_release(struct fk_guarded *guarded, bool moved) {
  /* New pages in place of the old ones: what they held is given back. */
  if (guarded->placement.accessible != 0 &&
      mmap(guarded->mapping + guarded->placement.pages, guarded->placement.accessible, PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
    return errno;
  }
  fk_guards_change(guarded->number, moved ? FK_MOVED : FK_RELEASED);
  guarded->released = true;
  return 0;
}

static bool is_zero(const uint8_t *bytes, size_t size) {
  return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

void fk_guarded_copy(struct fk_guarded *target, const struct fk_guarded *source, size_t size) {
  for (size_t done = 0; done < size;) {
    size_t part = size - done < BLOCK ? size - done : BLOCK;
    if (!is_zero(source->data + done, part)) {
      memcpy(target->data + done, source->data + done, part);
    }
    done += part;
  }
}

void fk_guarded_unmap(struct fk_guarded *guarded) {
  if (guarded->mapping == NULL) {
    return;
  }
  fk_guards_remove(guarded->number); /* first: the addresses may be somebody else's at once */
  (void)munmap(guarded->mapping, guarded->placement.mapped);
  guarded->mapping = NULL;
}

bool fk_guarded_damage(const struct fk_guarded *guarded, ptrdiff_t *offset) {
  size_t below = margin_below(guarded);
  size_t above = margin_above(guarded);
  size_t right = fk_pattern_mismatch(guarded->data - below, below, MARGIN_SEED, 0);
  if (right < below) {
    *offset = (ptrdiff_t)right - (ptrdiff_t)below;
    return true;
  }
  right = fk_pattern_mismatch(guarded->data + guarded->size, above, MARGIN_SEED, 0);
  *offset = (ptrdiff_t)(guarded->size + right);
  return right < above;
}
