"""E06xx: files that cannot be used, networks without an input, and limits."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl.diagnostics import Wording, diagnostic, worded_as
from archc.dsl.vocabulary.spelling import did_you_mean, misspelt, near


@diagnostic("E0601")
def use_outside(path: str) -> Wording:
    """`use` names a file outside the folder of its own file and `archs/`.

    Wrong:

        use "../secret.arch"
        input 3x32x32
        relu

    Right:

        use "std/resnet.arch"
        input 3x32x32
        relu
    """
    return Wording(f'`use "{path}"` would leave the folder of this file and `archs/`', help="copy the file next to this one")


@diagnostic("E0602")
def use_not_found(path: str, known: Sequence[str]) -> Wording:
    """`use` names a file that is neither next to its own file nor under `archs/`.

    Wrong:

        use "std/resnett.arch"
        input 3x32x32
        relu

    Right:

        use "std/resnet.arch"
        input 3x32x32
        relu
    """
    return Wording(
        f"there is no file `{path}` next to this one or under `archs/`",
        help=did_you_mean(path, known),
        facts=misspelt(path, near(path, known)),
    )


@diagnostic("E0603")
def use_in_circle(chain: Sequence[str], needless: Sequence[tuple[str, int, str]] = ()) -> Wording:
    """Files `use` each other in a cycle."""
    help_text = "move what both need into a third file"
    if needless:  # `use` lines that import nothing that is needed: the file and line of each, and the file it uses
        file, line, used = needless[0]
        help_text = f"delete line {line} of {file}, which uses nothing from {used}"
    return Wording(f"these files use each other in a cycle: {' -> '.join(chain)}", help=help_text)


@diagnostic("E0604")
def too_many_nodes(limit: int) -> Wording:
    """The network has more nodes than the limit that `--max-nodes` sets. Nested repeats and loops multiply.

    Wrong:

        input 3x32x32
        for i in range(1000) { for j in range(1000) { for k in range(10) { relu } } }

    Right:

        input 3x32x32
        for i in range(10) { for j in range(10) { relu } }
    """
    return Wording(f"this network expands to more than {limit:,} nodes", help="check the repeats and loops, or raise `--max-nodes`")


@diagnostic("E0605")
def too_deep(limit: int, chain: Sequence[str], ends: bool, never: str = "") -> Wording:
    """Block calls are nested deeper than the limit that `--max-nesting` sets. A block that always calls itself never ends.

    Wrong:

        input 3x32x32
        block again() { again() }
        again()

    Right:

        input 3x32x32
        block again(n) { relu; if n > 1 { again(n - 1) } }
        again(3)
    """
    help_text = "a block that calls itself needs an `if` that ends it"
    if ends:
        help_text = f"check that its `if` ends it; if it does, `--max-nesting {2 * limit}` allows deeper nesting"
    notes = (f"calls: {' -> '.join(chain)}", *((never,) if never else ()))
    return Wording(f"blocks are nested deeper than {limit}", notes=notes, help=help_text)


@diagnostic("E0606")
def no_input() -> Wording:
    """A network has no `input` line, or something that needs a tensor comes before it.

    Wrong:

        conv3-64

    Right:

        input 3x32x32
        conv3-64
    """
    return Wording("this needs a tensor, but there is no `input` before it", help="begin with a line such as `input 3x224x224`")


@worded_as("E0606")
def no_incoming() -> Wording:
    """Report an `in` where no tensor comes in, whatever precedes it."""
    message = "no tensor comes in here: sizes, claims, a `default` and the `arch` line have no `in`"
    help_text = "`in` is known in items, in a `let`, a `for` and an `if`, and in the defaults of a block's parameters"
    return Wording(message, help=help_text)


@diagnostic("E0607")
def nothing_to_build() -> Wording:
    """A file contains no network: it only defines blocks, or is empty. Such files are for `use`.

    Wrong:

        block stem(w) { conv3-{w} }

    Right:

        block stem(w) { conv3-{w} }
        input 3x32x32
        stem(8)
    """
    return Wording("this file contains no network", help="add an `input` line and the items after it; files of blocks are for `use`")


@diagnostic("E0608")
def cannot_read(path: str, why: str) -> Wording:
    """A file cannot be opened."""
    return Wording(f"cannot read {path}: {why}", help="pass an existing `.arch` file, or a folder of them")


@diagnostic("E0609")
def cannot_lower(problem: str, help: str) -> Wording:
    """A network is well-formed but cannot be lowered: some of its sizes are open where numbers are needed."""
    return Wording(problem, help=help)


@diagnostic("E0616")
def cannot_say(problem: str, help: str) -> Wording:
    """A network cannot be written in a format, which has nothing that an operator of it can be written as.

    `archc compile -o net.onnx --opset 15` of a network with `layer_norm` is an example: ONNX has that operator since opset 17. Nothing is
    written.
    """
    return Wording(problem, help=help)


@diagnostic("E0617")
def not_computed(what: str) -> Wording:
    """A network with a `hole` is lowered. A hole stands for an operator that could not be read: it has a shape, and nothing computes it.

    `archc read --partial` writes holes. `check`, `summary`, `draw`, `diff` and `explain` work with them.
    """
    return Wording(f'nothing computes this hole, which stands for "{what}" of the source', help="write items in its place that compute it")


@diagnostic("E0614")
def wrong_inputs(problem: str, takes: str, help: str = "") -> Wording:
    """A compiled network is called with the wrong number of tensors, or with tensors whose rank differs from that of its inputs.

    A network takes one tensor per `input` line, in order, with the batch as the first axis: `Nx3x224x224` for
    `input 3x224x224`. The error is raised when the module is called, and is also a ValueError.
    """
    return Wording(problem, notes=(f"it takes {takes}",), help=help or "pass one tensor for each `input` line, in order")


@diagnostic("E0615")
def wrong_configuration(problem: str, help: str = "") -> Wording:
    """The settings of a project cannot be read: the section `[tool.archc]` of its pyproject.toml, or its archc.toml.

    They are those of the nearest folder above a file that has some: `paths`, what `archc check` and `archc fmt` take where no file
    is given; `warnings-off`, the codes of warnings that are not reported; `width`, the columns of tables that are not printed to a
    terminal.
    """
    return Wording(problem, help=help)


@diagnostic("E0610")
def arch_twice() -> Wording:
    """A file contains two `arch` lines, or an `arch NAME = base(...)` next to a network of its own.

    Wrong:

        arch one
        arch two
        input 3x32x32
        relu

    Right:

        arch one
        input 3x32x32
        relu
    """
    return Wording("a file describes one network, but this is a second one", help="put it in its own file")


@diagnostic("E0611")
def not_an_arch(name: str, known: Sequence[str]) -> Wording:
    """`arch NAME = base(...)` names a base that none of the used files describes.

    Wrong:

        use "std/resnet.arch"
        arch mine = resnett(depths=[1, 1, 1, 1])

    Right:

        use "std/resnet.arch"
        arch mine = resnet(unit=basic, depths=[1, 1, 1, 1])
    """
    return Wording(
        f"none of the files that this one uses describes a network `{name}`",
        help=did_you_mean(name, known),
        facts=misspelt(name, near(name, known)),
    )


@diagnostic("E0612")
def too_many_statements(limit: int) -> Wording:
    """A file has more statements than the limit that `--max-nodes` sets. The rest of the file is not read."""
    return Wording(
        f"this file has more than {limit:,} statements",
        help="write repeated items as a repeat (`relu x3`) or a loop, or raise `--max-nodes`",
    )


@diagnostic("E0613")
def too_many_list_values(limit: int) -> Wording:
    """The lists of a file grow beyond the limit: ten values for each node that `--max-nodes` allows.

    Wrong:

        let a = range(400_000)
        let b = a + a
        input 3x32x32
        relu x{len(b)}

    Right:

        let a = range(4)
        let b = a + a
        input 3x32x32
        relu x{len(b)}
    """
    return Wording(
        f"the lists of this file grow beyond {limit:,} values",
        help="a list that is added to itself doubles; check the loops, or raise `--max-nodes`",
    )
