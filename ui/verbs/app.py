"""The verbs put together, and what becomes of errors. Every verb parses its arguments, calls, prints, and ends with an exit code.

0 fine; 1 the file has errors; 2 wrong usage; 3 an optional dependency is missing; 70 a fault of archc itself.
Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from typing import Annotated

import typer

from archc.compiler.errors import UsageError
from archc.compiler.files import CannotWrite, reason
from archc.compiler.version import __version__
from archc.dsl.errors import ArchError
from archc.dsl.rendering import render_all, visible
from archc.ui.show.colour import painter
from archc.ui.verbs import checking, completion, looking, reference, running, streams
from archc.ui.verbs.terminal import say, talk

app = typer.Typer(
    name="archc",
    no_args_is_help=True,
    add_completion=False,  # `completion` has its own, which takes the name of a shell
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Networks as text, compiled: check, expand, count and lower `.arch` files. A file that is called `-` is stdin.",
)

for verb in (
    running.compile,
    running.bench,
    checking.check_,
    checking.expand,
    looking.draw,
    checking.fmt,
    checking.graph,
    looking.summary_,
    looking.table_,
    looking.diff_,
    reference.list_,
    reference.new,
    running.weights,
    reference.ops,
    reference.explain,
):
    app.command(verb.__name__.rstrip("_"))(verb)

OPTIONAL = {"torch": "torch", "safetensors": "torch", "numpy": "torch", "matplotlib": "plots"}  # module -> the extra that brings it


INSTALL = "Let bash, zsh or fish complete verbs, options and names."
SHOW = "Print the script that does it, to be put where it is wanted."


def _version(wanted: bool) -> None:
    if wanted:
        say(f"archc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
    install: Annotated[
        str,
        typer.Option("--install-completion", metavar="SHELL", help=INSTALL, callback=completion.install, is_eager=True, show_default=False),
    ] = "",
    show: Annotated[
        str, typer.Option("--show-completion", metavar="SHELL", help=SHOW, callback=completion.show, is_eager=True, show_default=False)
    ] = "",
) -> None:
    pass


def run() -> None:
    """Run the command line; the only way out is an exit code."""
    gc.disable()  # a short life, with many objects and few cycles: looking for these takes a tenth of the time
    streams.prepare()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    completion.prepare()
    sys.exit(streams.finish(_outcome()))


def _outcome() -> int:
    """The exit code of the verb that is asked for. No exception is left over."""
    try:
        app(prog_name="archc")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ModuleNotFoundError as error:
        extra = OPTIONAL.get((error.name or "").partition(".")[0])
        if extra is None:
            return _fault(error)
        talk(f"archc: this needs {error.name}, which is not installed: pip install 'archc[{extra}]'")
        return 3
    except ArchError as error:
        talk(render_all(error.diagnostics, paint=painter(sys.stderr)))
        return 1
    except UsageError as error:
        talk(f"archc: {visible(_as_option(error))}")
        return 2
    except CannotWrite as error:
        talk(f"archc: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    except MemoryError:
        talk("archc: out of memory: this machine has too little for this network")
        return 1
    except RecursionError:
        talk("archc: this file is nested too deeply; take a part of it out into a `let` or a block of its own")
        return 1
    except OSError as error:
        talk(f"archc: {error.filename}: {reason(error)}" if error.filename else f"archc: {reason(error)}")
        return 1
    except Exception as error:
        return _fault(error)
    return 0


def _as_option(error: UsageError) -> str:
    """The text of an error, in which an argument of the library is an option: `print_after` is `--print-after`."""
    option = f"--{error.option.replace('_', '-')}" if error.option else ""
    return option + str(error)[len(error.option) :]


def _fault(error: Exception) -> int:
    """A mistake of ours. The traceback is for us, so it is shown only when asked for."""
    talk(f"archc: a fault of archc itself, not of the file: {type(error).__name__}: {error}")
    if os.environ.get("ARCHC_TRACEBACK"):
        traceback.print_exception(error)
    else:
        talk("please report it with the file; ARCHC_TRACEBACK=1 shows where it happened")
    return 70
