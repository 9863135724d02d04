"""Completion in the shell: the candidates, and the scripts for bash, zsh and fish that ask for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script

from archc.compiler.files import write_bytes
from archc.compiler.ops import OPERATORS

NAME, VARIABLE = "archc", "_ARCHC_COMPLETE"

# For each shell: its script, in the home folder; the file that it reads when it starts, and the line needed there.
SHELLS = {
    "bash": (".bash_completions/archc.sh", ".bashrc", "source ~/.bash_completions/archc.sh"),
    "zsh": (".zfunc/_archc", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
    "fish": (".config/fish/completions/archc.fish", "", ""),
}

Completer = Callable[[str], list[str]]


def prepare() -> None:
    """Let typer answer the shells, which ask by an environment variable."""
    completion_init()


def show(shell: str) -> None:
    """Print the script of a shell, and exit (`--show-completion SHELL`)."""
    if shell:
        typer.echo(_script(shell))
        raise typer.Exit


def install(shell: str) -> None:
    """Write the script of a shell, make the shell read it, and exit (`--install-completion SHELL`)."""
    if not shell:
        return
    script = _script(shell)
    where, start, line = SHELLS[shell]
    try:
        home = Path.home()
    except RuntimeError:
        raise typer.BadParameter("there is no home folder; --show-completion prints the script") from None
    (home / where).parent.mkdir(parents=True, exist_ok=True)
    write_bytes(home / where, f"{script}\n".encode())
    if start:
        file = home / start
        before = file.read_bytes() if file.is_file() else b""
        if line.encode() not in before.splitlines():
            write_bytes(file, before + b"\n" * (not before.endswith(b"\n") and bool(before)) + f"{line}\n".encode())
    typer.echo(f"wrote {home / where}" + f", which {home / start} reads" * bool(start) + "; start a new shell", err=True)
    raise typer.Exit


def _script(shell: str) -> str:
    if shell not in SHELLS:
        raise typer.BadParameter(f"completion is for {', '.join(SHELLS)}, not {shell}")
    return get_completion_script(prog_name=NAME, complete_var=VARIABLE, shell=shell)


# ---- candidates


def words(*known: str) -> Completer:
    """Complete one of a few words."""
    return lambda incomplete: [word for word in known if word.startswith(incomplete)]


def arch_files(incomplete: str) -> list[str]:
    """Complete folders, and the `.arch` files in them."""
    return sorted(_entries(incomplete, (".arch",)))


def any_files(incomplete: str) -> list[str]:
    """Complete folders and files."""
    return sorted(_entries(incomplete, ("",)))


def _entries(incomplete: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    begin = incomplete.rpartition("/")[2]
    lead = incomplete.removesuffix(begin)
    try:
        with os.scandir(os.path.expanduser(lead) or ".") as entries:
            for entry in entries:
                if entry.name.startswith(begin) and entry.name.startswith(".") == begin.startswith("."):
                    if entry.is_dir():
                        yield f"{lead}{entry.name}/"
                    elif entry.name.endswith(suffixes):
                        yield lead + entry.name
    except OSError:
        return


def operators(incomplete: str) -> list[str]:
    """Complete operators, in any case."""
    return words(*OPERATORS)(incomplete.lower())


def explained(incomplete: str) -> list[str]:
    """Complete codes of errors, and `.arch` files."""
    from archc.compiler.pages import pages

    return [*words(*(page.code for page in pages()))(incomplete.upper()), *arch_files(incomplete)]


def networks(incomplete: str) -> list[str]:
    """Complete the networks that are included."""
    from archc.compiler.zoo import networks

    return words(*(path.stem for path in networks()))(incomplete)
