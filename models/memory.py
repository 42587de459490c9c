"""How a training process asks its C library for memory."""

import ctypes

# Names and numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Keep what tensors give back for the next ones, instead of returning it to the system.

    By its default glibc maps every tensor above 32 MB afresh and unmaps it afterwards, and trims
    the end of its heap. The kernel then faults in each page again at its first touch, which was up
    to a quarter of a training step. With this the process stays as large as it ever was.

    Returns whether the C library took the settings; others than glibc do not.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))
