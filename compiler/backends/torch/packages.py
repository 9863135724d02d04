"""Write packages of AOTInductor: a network as machine code, which torch loads without Python code of the network."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from shutil import which
from subprocess import DEVNULL, run

import torch

from archc.compiler.backends import Compiled
from archc.compiler.backends.torch.files import doubled
from archc.compiler.backends.torch.optimize import realized
from archc.compiler.errors import NotInstalled
from archc.compiler.files import CannotWrite, replacing

COMPILER = "a C++ compiler"
CURE = "install g++ or clang++, or name one in the environment variable CXX"
SOURCES = (".cpp", ".cu", ".o")  # members that the loader does not read; they name folders of this machine
EPOCH = (1980, 1, 1, 0, 0, 0)


def check(compiled: Compiled) -> None:
    """Raise NotInstalled where there is no C++ compiler."""
    from torch._inductor import cpp_builder, exc

    try:
        cpp_builder.get_cpp_compiler()
    except (exc.InvalidCxxCompiler, OSError, RuntimeError) as error:
        raise NotInstalled(COMPILER, wants="a .aoti.pt2", cure=CURE) from error


def write(compiled: Compiled, path: Path) -> None:
    """Write the network of level 2, folded and joined, as a package for batches of any size, atomically. Raises CannotWrite.

    Packed layers have weights in a layout that no file holds, so layers are left to Inductor. At level 3 Inductor may convert weights too.
    """
    check(compiled)
    plain = realized(compiled.module, compiled.program())
    example = doubled(compiled.inputs)
    batch = torch.export.Dim("batch", min=1)
    with replacing(path) as temporary, tempfile.TemporaryDirectory(prefix="archc-") as folder:
        package = Path(folder) / "net.pt2"
        try:
            program = torch.export.export(plain, example, dynamic_shapes=tuple({0: batch} for _ in example))
            options = {"freezing": compiled.level == 3}
            with torch.no_grad():
                torch._inductor.aoti_compile_and_package(program, package_path=str(package), inductor_configs=options)
        except OSError:
            raise
        except Exception as error:  # Inductor wraps whatever fails, the compiler included
            raise CannotWrite(path, f"AOTInductor cannot compile {compiled.graph.name}: {_first_line(error)}") from error
        _repack(package, temporary)


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _repack(package: Path, target: Path) -> None:
    """Copy a package without sources, debugging symbols, times, and the folders of this machine."""
    folders = [os.fsencode(folder) for folder in (_cache(), str(Path(torch.__file__).parent), str(package.parent))]
    with zipfile.ZipFile(package) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as copy:
        for member in source.infolist():
            if member.filename.endswith(SOURCES):
                continue
            data = source.read(member)
            if member.filename.endswith(".so"):
                data = _stripped(data, package.parent)
            for folder in folders:  # in file names within messages, whose lengths stay
                data = data.replace(folder, b"/" * len(folder))
            copy.writestr(zipfile.ZipInfo(member.filename, EPOCH), data)


def _cache() -> str:
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    return cache_dir()


def _stripped(data: bytes, folder: Path) -> bytes:
    """Return a shared library without debugging symbols, where there is a program that removes them."""
    strip = which("strip")
    if strip is None:
        return data
    library = folder / "stripped.so"
    library.write_bytes(data)
    done = run([strip, "--strip-debug", str(library)], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, check=False)
    return library.read_bytes() if done.returncode == 0 else data
