/* The table of guarded buffers: slots with versions, so that a reader never sees half of an entry. */
#include "guards.h"

#include <stdatomic.h>
#include <string.h>

#define NAME_WORDS (FK_GUARD_NAME / sizeof(uint64_t))

/* The lowest two bits of a version; the others count the entries that the slot has had. */
enum { FREE, CLAIMED, ENTERED, STATUS = 3, GENERATION };

/* Stores into the fields release and loads of them acquire: who sees the field of a later entry sees its version. */
struct slot {
  _Atomic uint32_t version;
  _Atomic uint32_t state;
  _Atomic uintptr_t low, high, data;
  _Atomic size_t size;
  _Atomic uint64_t name[NAME_WORDS];
};

/* Faults belong to the process and their handler has no argument of ours, so the table can live nowhere but here. A
   page of it costs memory only once it is used: low slots are taken first. */
static struct slot slots[FK_MOST_GUARDS];
static _Atomic int lowest_free; /* a hint */
static _Atomic int used;        /* no slot from here on was ever taken */

static bool claim(struct slot *slot) {
  uint32_t version = atomic_load(&slot->version);
  return (version & STATUS) == FREE &&
         atomic_compare_exchange_strong(&slot->version, &version, version + GENERATION + CLAIMED);
}

static int claim_any(int first, int end) {
  for (int number = first; number < end; number++) {
    if (claim(&slots[number])) {
      return number;
    }
  }
  return -1;
}

static void set_status(struct slot *slot, uint32_t status) {
  uint32_t version = atomic_load(&slot->version);
  atomic_store(&slot->version, (version & ~(uint32_t)STATUS) | status);
}

int fk_guards_add(const struct fk_guard *guard) {
  int hint = atomic_load(&lowest_free);
  int number = claim_any(hint, FK_MOST_GUARDS);
  if (number < 0) {
    number = claim_any(0, hint);
  }
  if (number < 0) {
    return -1;
  }
  struct slot *slot = &slots[number];
  uint64_t name[NAME_WORDS];
  atomic_store(&lowest_free, number + 1);
  memcpy(name, guard->name, sizeof name);
  for (size_t i = 0; i < NAME_WORDS; i++) {
    atomic_store_explicit(&slot->name[i], name[i], memory_order_release);
  }
  atomic_store_explicit(&slot->low, guard->low, memory_order_release);
  atomic_store_explicit(&slot->high, guard->high, memory_order_release);
  atomic_store_explicit(&slot->data, guard->data, memory_order_release);
  atomic_store_explicit(&slot->size, guard->size, memory_order_release);
  atomic_store_explicit(&slot->state, guard->state, memory_order_release);
  set_status(slot, ENTERED);
  int before = atomic_load(&used);
  while (before <= number && !atomic_compare_exchange_weak(&used, &before, number + 1)) {
  }
  return number;
}

void fk_guards_change(int number, enum fk_guard_state state) {
  atomic_store_explicit(&slots[number].state, state, memory_order_release);
}

void fk_guards_remove(int number) {
  set_status(&slots[number], FREE);
  int hint = atomic_load(&lowest_free);
  while (number < hint && !atomic_compare_exchange_weak(&lowest_free, &hint, number)) {
  }
}

static bool read_slot(struct slot *slot, struct fk_guard *guard) {
  uint64_t name[NAME_WORDS];
  uint32_t version = atomic_load(&slot->version);
  if ((version & STATUS) != ENTERED) {
    return false;
  }
  for (size_t i = 0; i < NAME_WORDS; i++) {
    name[i] = atomic_load_explicit(&slot->name[i], memory_order_acquire);
  }
  guard->low = atomic_load_explicit(&slot->low, memory_order_acquire);
  guard->high = atomic_load_explicit(&slot->high, memory_order_acquire);
  guard->data = atomic_load_explicit(&slot->data, memory_order_acquire);
  guard->size = atomic_load_explicit(&slot->size, memory_order_acquire);
  guard->state = atomic_load_explicit(&slot->state, memory_order_acquire);
  memcpy(guard->name, name, sizeof name);
  guard->name[FK_GUARD_NAME - 1] = '\0';
  return atomic_load(&slot->version) == version;
}

bool fk_guards_find(uintptr_t address, struct fk_guard *guard) {
  int end = atomic_load(&used);
  for (int number = 0; number < end; number++) {
    if (read_slot(&slots[number], guard) && guard->low <= address && address < guard->high) {
      return true;
    }
  }
  return false;
}

/* Text that grows within its bound. */
struct text {
  char *bytes;
  size_t size;
};

static void add(struct text *text, const char *more) {
  for (; *more != '\0' && text->size < FK_DESCRIPTION - 1; more++) {
    unsigned char byte = (unsigned char)*more;
    text->bytes[text->size++] = byte < ' ' || byte == 0x7f ? '?' : *more;
  }
  text->bytes[text->size] = '\0';
}

static void add_number(struct text *text, size_t number) {
  char digits[24];
  char *first = digits + sizeof digits - 1;
  *first = '\0';
  do {
    *--first = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  add(text, first);
}

static void add_distance(struct text *text, size_t bytes, const char *from) {
  add(text, ", ");
  add_number(text, bytes);
  add(text, bytes == 1 ? " byte " : " bytes ");
  add(text, from);
}

size_t fk_guard_describe(const struct fk_guard *guard, uintptr_t address, enum fk_access access,
                         char bytes[FK_DESCRIPTION]) {
  static const char *const accesses[] = {"access", "read", "write", "execution"};
  struct text text = {bytes, 0};
  bool before = address < guard->data;
  size_t distance = before ? guard->data - address : address - guard->data;
  add(&text, "guarded buffer '");
  add(&text, guard->name);
  add(&text, "': ");
  add(&text, accesses[access]);
  add(&text, before ? " at offset -" : " at offset ");
  add_number(&text, distance);
  if (before) {
    add_distance(&text, distance, "before its start");
  } else if (distance >= guard->size) {
    add_distance(&text, distance - guard->size + 1, "past its end");
  } else if (guard->state == FK_READONLY) {
    add(&text, ", which is read-only");
  }
  if (guard->state == FK_RELEASED) {
    add(&text, ", after its release");
  } else if (guard->state == FK_MOVED) {
    add(&text, ", of the memory that it had before it was resized");
  }
  add(&text, " (size ");
  add_number(&text, guard->size);
  add(&text, ")");
  return text.size;
}
