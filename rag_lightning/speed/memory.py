"""Process-wide settings: the C allocator's habits and the number of threads."""

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

import torch

# Names and values of mallopt's parameters in glibc's malloc.h, of madvise's in the kernel's mman-common.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_MADV_HUGEPAGE = 14
_HUGE_PAGE = 2**21
_LARGEST_INT = 2**31 - 1
_TOP_PAD = 2**26


@cache
def tune_allocator() -> bool:
    """Make glibc keep freed memory for the next step instead of giving it back to the kernel; once per process.

    A training step frees and asks for the same hundreds of megabytes each time; when they go back to the kernel in
    between, zeroing the pages again takes up to a third of the step. ``M_MMAP_THRESHOLD`` cannot be raised above
    32 MiB (glibc refuses in silence), which a vocabulary's gradient exceeds, hence ``M_MMAP_MAX = 0``. The heap is then
    grown once by address space, not memory, for which huge pages are asked: batches of ever new shapes go on growing a
    fragmented heap, and on virtual machines each fault of a small page costs several microseconds.

    Returns:
        Whether the allocator took the settings (False on a C library other than glibc).
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        mallopt, sbrk = libc.mallopt, libc.sbrk
    except AttributeError:  # musl has no mallopt
        return False
    for name, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _LARGEST_INT), (_M_TOP_PAD, _TOP_PAD)):
        if mallopt(ctypes.c_int(name), ctypes.c_int(value)) != 1:
            return False
    sbrk.restype, sbrk.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
    _reserve_huge_pages(libc)
    return True


def _reserve_huge_pages(libc: ctypes.CDLL) -> None:
    """Extend the heap by untouched address space and mark it for transparent huge pages, where the kernel has them."""
    switch = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not switch.exists() or "[never]" in switch.read_text():
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    libc.mallopt(_M_TOP_PAD, min(memory // 2, _LARGEST_INT))
    start = libc.sbrk(0)
    libc.free(libc.malloc(_TOP_PAD))  # does not fit into the heap's top, so glibc extends it by this and the pad
    end = libc.sbrk(0)
    libc.mallopt(_M_TOP_PAD, _TOP_PAD)
    first = -(-start // _HUGE_PAGE) * _HUGE_PAGE
    if end > first:
        libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), ctypes.c_int(_MADV_HUGEPAGE))


def set_threads(threads: int | str) -> int:
    """Set the number of threads of torch's kernels (``auto`` leaves it) and return the number in force."""
    if threads != "auto":
        torch.set_num_threads(int(threads))
    return torch.get_num_threads()
