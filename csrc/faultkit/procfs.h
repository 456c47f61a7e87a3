/* Reading /proc without the C library's directory streams: the numbered entries of a directory. No Python in here. */
#ifndef LOOPPROOF_FAULTKIT_PROCFS_H
#define LOOPPROOF_FAULTKIT_PROCFS_H

#include <sys/types.h>

/* What is called for each entry whose name is a number; `directory` is the descriptor it was read through.
 * A result other than 0 ends the walk, which returns it. */
typedef int fk_visitor(long number, int directory, void *context);

/* Call `visit` for each numbered entry of a directory, but not for the walk's own descriptor in /proc/self/fd.
 * Returns 0, what `visit` returned, or -1 with errno set (a visitor returns something else than -1). */
int fk_walk(const char *path, fk_visitor *visit, void *context);

/* Read a whole small file. Returns the number of bytes, `text` ends with NUL; or -1 with errno set. */
ssize_t fk_read_file(const char *path, char *text, size_t size);

#endif
