"""The command line: its verbs, and the exit codes of errors.

0 success; 1 the file has errors; 2 wrong usage; 3 an optional dependency is missing; 70 a bug in archc.
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

from archc.compiler.backends import BACKENDS
from archc.compiler.errors import NotInstalled, UnreadableError, UsageError
from archc.compiler.files import CannotWrite, reason
from archc.compiler.frontends import FRONTENDS, CannotRead
from archc.compiler.version import __version__
from archc.dsl.diagnostics import Fault
from archc.dsl.errors import ArchError
from archc.dsl.rendering import render_all, visible
from archc.ui.show.colour import painter
from archc.ui.verbs import (
    checking,
    completion,
    cutting,
    looking,
    measuring,
    reading,
    reference,
    running,
    serving,
    showing,
    streams,
    tabulating,
    training,
)
from archc.ui.verbs.terminal import say, talk

app = typer.Typer(
    name="archc",
    no_args_is_help=True,
    add_completion=False,  # `completion` has its own options, which take the name of a shell
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Networks as text, compiled: check, expand, count and lower `.arch` files. The file `-` is stdin.",
)

for verb in (
    running.compile,
    measuring.bench,
    measuring.profile,
    checking.check_,
    checking.expand,
    reading.read,
    looking.draw,
    checking.fmt,
    checking.graph,
    looking.summary_,
    tabulating.table_,
    looking.diff_,
    cutting.cuts,
    reference.list_,
    reference.new,
    running.weights,
    reference.ops,
    reference.explain,
    training.train,
    training.evaluate,
    training.predict,
    showing.show,
    serving.lsp,
    serving.serve,
):
    app.command(verb.__name__.rstrip("_"))(verb)

# module -> the extra that installs it
OPTIONAL = {module: row.extra for table in (FRONTENDS, BACKENDS) for row in table for module in row.needs}
OPTIONAL |= {"matplotlib": "plots", "watchfiles": "watch", "pygls": "lsp", "lsprotocol": "lsp"}
OPTIONAL |= dict.fromkeys(("PIL", "lightning_fabric", "pydantic", "sklearn", "tensorboard", "torchmetrics"), "train")
FLAGS = {"level": "optimize", "functions": "onnx-functions"}  # an argument of the library -> its option, where the name differs


INSTALL = "Install completion of verbs, options and names for bash, zsh or fish."
SHOW = "Print the completion script instead of installing it."


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
    """Run the command line. Always ends the process with an exit code."""
    gc.disable()  # the process is short, with many objects and few cycles: collecting these takes a tenth of its time
    streams.prepare()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    completion.prepare()
    sys.exit(streams.finish(_outcome()))


def _outcome() -> int:
    """Run the verb and return its exit code. Raises nothing: every exception is reported here."""
    try:
        app(prog_name="archc")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except NotInstalled as error:
        talk(f"archc: {error}")
        return 3
    except ModuleNotFoundError as error:
        extra = OPTIONAL.get((error.name or "").partition(".")[0])
        if extra is None:
            return _bug(error)
        talk(f"archc: this needs {error.name}, which is not installed: pip install 'archc[{extra}]'")
        return 3
    except (ArchError, Fault) as error:
        found = [error.diagnostic] if isinstance(error, Fault) else error.diagnostics
        talk(render_all(found, paint=painter(sys.stderr)))
        return 1
    except UsageError as error:
        talk(f"archc: {visible(_as_option(error))}")
        return 2
    except (CannotWrite, CannotRead, UnreadableError) as error:
        talk(f"archc: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    except MemoryError:
        talk("archc: out of memory: this machine has too little for this network")
        return 1
    except RecursionError:
        talk("archc: this file is nested too deeply; move a part of it to a `let` or to its own block")
        return 1
    except OSError as error:
        talk(f"archc: {error.filename}: {reason(error)}" if error.filename else f"archc: {reason(error)}")
        return 1
    except Exception as error:
        return _bug(error)
    return 0


def _as_option(error: UsageError) -> str:
    """Return the text of an error with the argument of the library as an option: `--print-after` for `print_after`."""
    option = f"--{FLAGS.get(error.option, error.option).replace('_', '-')}" if error.option else ""
    return option + str(error)[len(error.option) :]


def _bug(error: Exception) -> int:
    """Report a bug in archc. The traceback is shown only on request (ARCHC_TRACEBACK)."""
    talk(f"archc: a bug in archc, not in the file: {type(error).__name__}: {error}")
    if os.environ.get("ARCHC_TRACEBACK"):
        traceback.print_exception(error)
    else:
        talk("please report it with the file; ARCHC_TRACEBACK=1 shows where it happened")
    return 70
