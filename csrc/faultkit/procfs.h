/* Reading /proc without the C library's directory streams: the numbered entries of a directory, whole files. No Python
 * in here. */
#ifndef LOOPPROOF_FAULTKIT_PROCFS_H
#define LOOPPROOF_FAULTKIT_PROCFS_H

#include <sys/types.h>

/* What is called for each entry whose name is a number; `directory` is the descriptor it was read through.
 * A result other than 0 ends the walk, which returns it. */
typedef int fk_visitor(long number, int directory, void *context);

/* Call `visit` for each numbered entry of a directory, but not for the walk's own descriptor in /proc/self/fd.
 * Returns 0, what `visit` returned, or -1 with errno set (a visitor returns something else than -1). */
int fk_walk(const char *path, fk_visitor *visit, void *context);

/* Read a whole file, however large. Returns new memory, which the caller frees, that ends with a NUL not counted in
 * `size` (NULL: not wanted); or NULL with errno set. */
char *fk_read_whole(const char *path, size_t *size);

#endif
