"""Check whether a network fits into memory before anything is allocated."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from archc.compiler.analysis.cost import cost
from archc.compiler.analysis.memory import usage
from archc.compiler.backends.errors import NoMemory
from archc.compiler.graph import ArchGraph

CGROUPS = Path("/sys/fs/cgroup")
FAR = 1.5  # an estimate above this multiple of the free memory is refused
UNLIMITED = 2**60  # version 1 of control groups represents "no limit" by a number near 2^63


def check_memory(graph: ArchGraph, dtype: str, batch: int, device: torch.device, copies: int = 1) -> str:
    """Compare the memory that a network needs with the free memory.

    Returns a warning where the weights fit and the values of a batch may not fit, otherwise "". Raises NoMemory where the weights do not
    fit, or where the total is more than FAR times the free memory. Weights are created on the CPU in float32, `copies` times.
    """
    if graph.unknowns:
        return ""  # the lowering reports open sizes
    weights = 4 * cost(graph).params_training
    needs = usage(graph, dtype, batch)
    on_cpu = device.type == "cpu"
    free = free_memory()
    if free is not None and copies * weights > free:
        several = f"{copies} times " * (copies > 1)
        raise NoMemory(f"{graph.name} needs {several}{size_text(weights)} for its weights, and {size_text(free)} of memory are free")
    if not on_cpu:
        free, _ = torch.cuda.mem_get_info(device)
        if needs.parameters > free:
            raise NoMemory(f"{graph.name} needs {size_text(needs.parameters)} for its weights, and {size_text(free)} are free on the GPU")
    held = copies * weights if on_cpu else needs.parameters
    if free is None or held + needs.peak <= free:
        return ""
    text = (
        f"{graph.name} needs {size_text(held)} for its weights and {size_text(needs.peak)} for values at batch {batch}, most of them at "
        f"{needs.peak_at}, and {size_text(free)} are free"
    )
    if held + needs.peak > FAR * free:
        raise NoMemory(f"{text}; take a smaller batch" if batch > 1 else text)
    return text


@contextmanager
def memory_errors(graph: ArchGraph) -> Iterator[None]:
    """Return a context manager that raises NoMemory for an allocation that fails in its body."""
    try:
        yield
    except MemoryError as error:
        raise NoMemory(f"there is not enough memory for {graph.name}") from error
    except torch.OutOfMemoryError as error:
        raise NoMemory(f"there is not enough memory for {graph.name}: {str(error).splitlines()[0]}") from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error) and "not enough memory" not in str(error):
            raise
        raise NoMemory(f"there is not enough memory for {graph.name}; {_free_text()}") from error


def _free_text() -> str:
    free = free_memory()
    return "the amount of free memory is unknown" if free is None else f"{size_text(free)} are free"


def free_memory() -> int | None:
    """Return the bytes that this process may still allocate, by the machine, its control groups and its limits; None if unknown."""
    known = [free for free in (_machine(), *_control_groups(), _limit()) if free is not None]
    return max(0, min(known)) if known else None


def size_text(size: int) -> str:
    """Return a number of bytes as text, `1.2 GB`, in powers of 1000."""
    for unit, power in (("TB", 4), ("GB", 3), ("MB", 2)):
        if size >= 1000**power:
            return f"{size / 1000**power:,.1f} {unit}"
    return f"{size / 1000:.1f} kB"


def _machine() -> int | None:
    lines = _read(Path("/proc/meminfo")).splitlines()
    kilobytes = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
    if kilobytes is not None:
        return kilobytes * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES" if sys.platform == "linux" else "SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _control_groups() -> Iterator[int]:
    """Yield the bytes left in each control group of this process, version 2 or 1. Cached pages of files count as free."""
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = CGROUPS / "memory" if controllers else CGROUPS
        limit, used, files = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if controllers
            else ("memory.max", "memory.current", "inactive_file")
        )
        group = root / path.lstrip("/")
        while group == root or root in group.parents:
            most, now = _read(group / limit).strip(), _read(group / used).strip()
            if most.isdigit() and now.isdigit() and int(most) < UNLIMITED:
                counts = dict(row.split() for row in _read(group / "memory.stat").splitlines() if row.count(" ") == 1)
                yield int(most) - int(now) + int(counts.get(files, 0))
            group = group.parent


def _limit() -> int | None:
    """Return the bytes left under `ulimit -v`; None without a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _read(Path("/proc/self/statm")).split()
    if most == resource.RLIM_INFINITY or not pages:
        return None
    return most - int(pages[0]) * resource.getpagesize()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
