/* Shape and strides: what they come to, and that no overflow is missed. */

#include "cases.h"
#include "layout.h"

static void test_packed_items_follow_each_other(void) {
  struct fk_layout layout = {.itemsize = 4, .dimensions = 3, .shape = {2, 3, 5}};
  ssize_t length, lowest, end;

  CHECK(fk_layout_pack(&layout) == 0);
  CHECK(layout.strides[0] == 60 && layout.strides[1] == 20 && layout.strides[2] == 4);
  CHECK(fk_layout_length(&layout, &length) == 0 && length == 120);
  CHECK(fk_layout_span(&layout, &lowest, &end) == 0 && lowest == 0 && end == 120);
}

static void test_the_span_follows_the_strides(void) {
  struct fk_layout layout = {.itemsize = 2, .dimensions = 2, .shape = {3, 4}, .strides = {-10, 3}};
  struct fk_layout none = {.itemsize = 2, .dimensions = 2, .shape = {3, 0}, .strides = {PTRDIFF_MAX, 3}};
  struct fk_layout scalar = {.itemsize = 8};
  ssize_t length, lowest, end;

  CHECK(fk_layout_span(&layout, &lowest, &end) == 0 && lowest == -20 && end == 11);
  CHECK(fk_layout_span(&none, &lowest, &end) == 0 && lowest == 0 && end == 0);
  CHECK(fk_layout_length(&none, &length) == 0 && length == 0);
  CHECK(fk_layout_span(&scalar, &lowest, &end) == 0 && lowest == 0 && end == 8);
  CHECK(fk_layout_length(&scalar, &length) == 0 && length == 8);
}

static void test_overflow_is_seen(void) {
  struct fk_layout many = {.itemsize = 1, .dimensions = 2, .shape = {PTRDIFF_MAX, 2}};
  struct fk_layout wide = {.itemsize = 1, .dimensions = 1, .shape = {3}, .strides = {PTRDIFF_MAX}};
  struct fk_layout deep = {.itemsize = 1, .dimensions = 2, .shape = {2, 2}, .strides = {PTRDIFF_MIN, PTRDIFF_MIN}};
  ssize_t length, lowest, end;

  CHECK(fk_layout_length(&many, &length) == -1);
  CHECK(fk_layout_pack(&many) == -1);
  CHECK(fk_layout_span(&wide, &lowest, &end) == -1);
  CHECK(fk_layout_span(&deep, &lowest, &end) == -1);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"packed", test_packed_items_follow_each_other},
      {"span", test_the_span_follows_the_strides},
      {"overflow", test_overflow_is_seen},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
