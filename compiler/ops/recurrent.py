"""Recurrent layers over a row of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from archc.compiler.ops.kinds import Flag, Real, Whole
from archc.compiler.ops.memory import Memory, always, channels_last
from archc.compiler.ops.receptive import EACH, ReceptiveFields
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator, Weights
from archc.compiler.ops.targets import ModuleTarget
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says

GATES = {"lstm": 4, "gru": 3}
FEW = 128  # hidden channels


def _directions(call: Call) -> int:
    return 2 if call.attrs["bidirectional"] else 1


def recurrent_shape(call: Call) -> Shape:
    """Return the hidden channels at each position, or the last state of each row. Raises Fault for an input that is no row of tokens."""
    rows = bool(call.attrs["rows"])
    if call.axes != 1 + rows:
        raise _wrong_axes(call)
    if rows and len(call.inputs) > 1:
        raise Fault(says.out_of_range("`rows`", "yes", "`no` where it starts from a state", "rows"))
    if call.attrs["dropout"] and call.attrs["layers"] == 1:
        instead = "it drops values between layers: write `layers=2`, or a `dropout` after it"
        raise Fault(says.out_of_range("`dropout`", call.attrs["dropout"], "0 with a single layer", "dropout", instead=instead))
    _ = call.channels  # a number
    _check_start(call)
    hidden: int = call.attrs["hidden"] * _directions(call)
    return (hidden, *(call.x[1:-1] if call.attrs["last"] else call.x[1:]))


def _wrong_axes(call: Call) -> Fault:
    if call.attrs["rows"]:
        return Fault(says.wrong_rank(f"{call.operator}(rows=yes)", "a map whose last axis is time, as `256x7x32`", show_shape(call.x)))
    instead = ""
    if call.axes == 2:
        instead = "`rows=yes` reads each row by itself; of other axes choose the one that is time, and pool or slice the others"
    elif call.axes > 2:
        instead = "a row of rows is not defined: choose the axis that is time, and pool or slice the others"
    return Fault(says.wrong_rank(call.operator, "a row of tokens: channels and one size, as `256x32`", show_shape(call.x), instead))


def _check_start(call: Call) -> None:
    """Raise Fault for a first state that is not flat, has the wrong size, or is incomplete."""
    start = call.inputs[1:]
    if start and call.operator == "lstm" and len(start) != 2:
        raise Fault(
            says.wrong_branch_count("lstm", "one branch, or three: `lstm(256)<. | h | c>`, with a state and a cell", 1 + len(start))
        )
    size = call.attrs["layers"] * _directions(call) * call.attrs["hidden"]
    for shape in start:
        if len(shape) != 1:
            instead = "`last=yes` of a recurrent layer leaves one, and `fc`"
            raise Fault(says.wrong_rank(f"{call.operator} from a state", "flat values as the state", show_shape(shape), instead))
        if not call.equal(shape[0], size):
            instead = f"`fc-{size}` before it makes it one"
            what = "the size of the state that it starts from"
            raise Fault(says.out_of_range(what, shape[0], f"{size}, layers*directions*hidden", instead=instead))


def recurrent_derivation(call: Call, out: Shape) -> list[str]:
    """Show the product of the hidden channels and the directions, and which positions remain."""
    hidden, directions = call.attrs["hidden"], _directions(call)
    lines = [
        f"channels: {hidden}*{directions} = {out[0]}, as `hidden` says, in both directions"
        if directions == 2
        else f"channels: {out[0]}, as `hidden` says"
    ]
    return lines + (["of all positions, the state after the last"] if call.attrs["last"] else [])


def _layers(call: Call) -> Iterator[tuple[str, int]]:
    """Yield the suffix of the names of tensors and the number of inputs, for each layer and direction."""
    for layer in range(call.attrs["layers"]):
        inputs = call.channels if layer == 0 else call.attrs["hidden"] * _directions(call)
        for direction in ("", "_reverse")[: _directions(call)]:
            yield f"l{layer}{direction}", inputs


def recurrent_weights(call: Call) -> Weights:
    """Return the weights of the input and of the state, and their biases, for each layer and direction."""
    hidden = call.attrs["hidden"]
    rows = GATES[call.operator] * hidden
    weights: dict[str, tuple[int, ...]] = {}
    for end, inputs in _layers(call):
        weights |= {f"weight_ih_{end}": (rows, inputs), f"weight_hh_{end}": (rows, hidden)}
        if call.attrs["bias"]:
            weights |= {f"bias_ih_{end}": (rows,), f"bias_hh_{end}": (rows,)}
    return weights


def _steps(call: Call) -> Dim:
    """Count the tokens, of all rows."""
    return product(call.x[1:])


def recurrent_macs(call: Call, out: Shape) -> Dim:
    """Count the weights, without the biases, times the positions."""
    return _steps(call) * sum(prod(shape) for name, shape in recurrent_weights(call).items() if name.startswith("weight"))


def recurrent_connections(call: Call, out: Shape) -> Dim:
    """Count the weights and the biases times the positions."""
    return _steps(call) * sum(prod(shape) for shape in recurrent_weights(call).values())


def recurrent_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the whole axis of tokens, since a state depends on every earlier position, and with two directions on all."""
    return [*[EACH] * (call.axes - 1), None]


def lower_recurrent(call: Call) -> ModuleTarget:
    """Lower to archc.Lstm or archc.Gru."""
    a = call.attrs
    return ModuleTarget(
        f"archc.{call.operator.capitalize()}",
        {
            "input_size": call.channels,
            "hidden_size": a["hidden"],
            "num_layers": a["layers"],
            "bias": a["bias"],
            "dropout": a["dropout"],
            "bidirectional": a["bidirectional"],
            "last": a["last"],
            **({"rows": True} if a["rows"] else {}),
        },
    )


def _all_states(call: Call) -> Dim:
    """Count all states if the result is only the last one."""
    hidden: int = call.attrs["hidden"] * _directions(call)
    return _steps(call) * hidden if call.attrs["last"] else 0


def _kept(call: Call, out: Shape) -> Dim:
    """Count the values kept for each step. An LSTM runs in oneDNN, whose workspace is about 16 values for each hidden channel, on a copy of
    its input; a GRU keeps its gates, states and products."""
    of_layers: int = call.attrs["hidden"] * call.attrs["layers"] * _directions(call)
    return _steps(call) * (16 * of_layers + call.channels if call.operator == "lstm" else 7 * of_layers)


def _running(call: Call, out: Shape) -> Dim:
    """Count temporary values: for an LSTM the copy of its input and a few states, for a GRU the gates and states of every step.

    Rows that are read by themselves are put together by another copy of the input, and each has states.
    """
    hidden: int = call.attrs["hidden"] * _directions(call)
    steps = _steps(call) * (call.channels if call.operator == "lstm" else (GATES["gru"] + 2) * hidden)
    rows = product(call.x[1:-1])
    copied = product(call.x) if call.attrs["rows"] else 0
    return _all_states(call) + steps + copied + rows * ((6 if call.operator == "lstm" else 1) * hidden)


def _padded(call: Call) -> bool:
    """Return whether it is an LSTM of few channels, whose workspace oneDNN pads to multiples of 16 channels and more."""
    return call.operator == "lstm" and call.attrs["hidden"] < FEW


ATTRS = (
    Attr("hidden", Whole(1), REQUIRED, "the number of hidden channels, in each direction"),
    Attr("layers", Whole(1), 1, "the number of layers, each over the states of the previous one"),
    Attr("bidirectional", Flag(), False, "whether a second direction reads from the end; its states are concatenated"),
    Attr("bias", Flag(), True, "whether trained values are added to each gate"),
    Attr("dropout", Real(0, 1), 0.0, "the probability of dropping a value between layers in training"),
    Attr("last", Flag(), False, "whether the result is only the last state of each direction, flat"),
    Attr("rows", Flag(), False, "whether each row of a map is read by itself: its last axis is time", rare=True),
)


def _recurrent(name: str, summary: str, equation: str, source: str) -> Operator:
    states = ("h", "c") if name == "lstm" else ("h",)
    start = f"{name}(256)<. | {' | '.join(states)}>"
    return Operator(
        name=name,
        operands=(1, 1 + len(states)),
        plain=True,
        family="recurrent",
        summary=summary,
        doc=f"""
        {equation}

        The first state is zero, or that of further branches: `{start}`, flat values of all layers and directions in
        sequence. `CxL` becomes `hidden x L`, the state after every token, with twice the channels if `bidirectional`. With `rows=yes`
        each row of a map `CxRxL` is read by itself, from zeros. Parameters of a layer and direction:
        `{GATES[name]}*hidden*(in + hidden + 2)`, where `in` is the number of its inputs. MACs per token:
        `{GATES[name]}*hidden*(in + hidden)`.
        """,
        source=source,
        example=f"input 64x20; {name}-32 => 32x20",
        attrs=ATTRS,
        shape=recurrent_shape,
        weights=recurrent_weights,
        macs=recurrent_macs,
        connections=recurrent_connections,
        derivation=recurrent_derivation,
        receptive_field=recurrent_receptive_field,
        picture="dense",
        memory=Memory(padded=_padded, saves=always("input", "output"), saved=_kept, work=_running, order=channels_last),
        lower=lower_recurrent,
        short=("", "hidden", ""),
    )


OPERATORS = (
    _recurrent(
        "lstm",
        "Long short-term memory over a row of tokens: a state, and a cell that is controlled by gates.",
        "`c = f*c + i*tanh(Wx + Uh + b); h = o*tanh(c)` at each token, with gates `i, f, o = sigmoid(Wx + Uh + b)`: input, forget, output.",
        "torch.nn.LSTM; Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000",
    ),
    _recurrent(
        "gru",
        "Gated recurrent units over a row of tokens: a state that is updated by two gates.",
        "`h = (1 - z)*tanh(Wx + b + r*(Uh + c)) + z*h` at each token, with gates `r, z = sigmoid(Wx + Uh + b)`.",
        "torch.nn.GRU; Cho et al. 2014, arXiv:1406.1078",
    ),
)
