/* Docstrings of GuardedBuffer; included once, by buffer_type.c. */

PyDoc_STRVAR(
    buffer_doc,
    "GuardedBuffer(source, *, name='buffer', flush='upper', align=1, readonly=False, format='B', shape=None, "
    "strides=None, offset=None, refusal=None)\n--\n\n"
    "Memory between inaccessible pages, for the buffer protocol: a byte too far is a crash.\n\n"
    "source: a size in bytes (the memory is zero, and what is not touched costs nothing: sizes beyond 4 GiB are "
    "fine),\n"
    "or a bytes-like object, whose bytes are copied.\n"
    "name: how reports name the buffer, at most 63 bytes of UTF-8.\n"
    "flush: which side touches the inaccessible pages: 'upper', so that one byte past the end is a crash, or 'lower',\n"
    "so that one byte before the start is. On the other side up to a page, the margin, lies between; what is written\n"
    "there is found by check() and release().\n"
    "align: the address is a multiple of it, a power of two up to the size of a page. With flush='upper' the end "
    "moves\n"
    "away from the inaccessible page if the size is not a multiple of it.\n"
    "readonly: writing is a crash, and PyBUF_WRITABLE is refused.\n"
    "format, shape, strides: as in memoryview; format is one of the module struct. Strides are in bytes, and may be\n"
    "negative or leave gaps; without them the items fill the memory in the order of C.\n"
    "offset: where in the memory the first item is, in bytes; as low as the strides allow unless given.\n"
    "refusal: an exception that requests for a buffer raise (see the attribute).\n\n"
    "A crash is reported to standard error, or to where report_crashes() says, before the process dies of it:\n"
    "\"guarded buffer 'reply': write at offset 4096, 1 byte past its end (size 4096)\". Offsets count from the start "
    "of\n"
    "the memory. The inaccessible pages are 1 MiB on each side. A system call that is handed too large a size does "
    "not\n"
    "crash: it fails with EFAULT, or transfers what fits.\n\n"
    "len(), indexing and slicing are memoryview's. As a context manager it is released at the end of the block, or\n"
    "revoked if the block raises. It is given back to the system when the last reference goes; until then its "
    "addresses\n"
    "are nobody else's.\n\n"
    "Raises TypeError and ValueError for arguments that make no sense, MemoryError if there is no address space, and\n"
    "OSError if there are 32,768 guarded buffers already.");
PyDoc_STRVAR(
    release_doc,
    "release($self, /)\n--\n\n"
    "Make the memory inaccessible, for good; does nothing the second time.\n\n"
    "Raises BufferError that says who has got a buffer if there are exports, and AssertionError like check(),\n"
    "after the release, if the memory around the data was written to.");
PyDoc_STRVAR(revoke_doc, "revoke($self, /)\n--\n\n"
                         "Make the memory inaccessible even if there are exports: who still uses them crashes.\n\n"
                         "Raises BufferError while fill() or verify() runs in another thread.");
PyDoc_STRVAR(
    resize_doc,
    "resize($self, /, size)\n--\n\n"
    "Change the size, in bytes; the memory moves, and what is added is zero. A pointer from before is a crash.\n\n"
    "Raises BufferError if there are exports, as bytearray does, or if the buffer is read-only or its shape was\n"
    "given, and ValueError if the size is no multiple of an item's.");
PyDoc_STRVAR(fill_doc, "fill($self, /, seed, size=None, offset=0)\n--\n\n"
                       "Write bytes offset to offset + size of the pattern of a seed to the start of the memory.\n\n"
                       "size: all of it unless given. Raises TypeError if the buffer is read-only, and ValueError.");
PyDoc_STRVAR(verify_doc, "verify($self, /, seed, size=None, offset=0)\n--\n\n"
                         "Compare the start of the memory with the pattern of a seed from offset on, in place.\n\n"
                         "Returns None if all of it is right, else the offset in the pattern of the first wrong byte.");
PyDoc_STRVAR(
    check_doc,
    "check($self, /)\n--\n\n"
    "Raise AssertionError if something was written outside of the data where no inaccessible page lies, or if\n"
    "a buffer was released more often than exported.");
