"""Random programs: a strategy that writes `.arch` text, and how many of them a test tries."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, assume, note, settings
from hypothesis import strategies as st

from archc.compiler.driver import check_text
from archc.compiler.report import Report
from archc.dsl.rendering import render_all

# `make test` tries the same programs every time, `make check` fewer, and `make test-slow` more; `make fuzz` tries many new ones.
FUZZ = "ARCHC_FUZZ" in os.environ
EXAMPLES = int(os.environ.get("ARCHC_EXAMPLES", "300"))
relaxed = settings(max_examples=EXAMPLES, derandomize=not FUZZ, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
some = settings(relaxed, max_examples=max(EXAMPLES // 3, 1))  # with torch, a tenth of a second each
fewer = settings(relaxed, max_examples=max(EXAMPLES // 4, 1))


def checked(text: str) -> Report:
    """Check a random program, and skip it where a window has outgrown its input."""
    note(text)
    report = check_text(text)
    for found in report.diagnostics:
        # Only a window that has outgrown its input makes these programs wrong.
        assert found.code in ("E0301", "E0306"), render_all(report.diagnostics)
    assume(report.ok)
    return report


@st.composite
def programs(draw: st.DrawFn, open_sizes: bool = False) -> str:
    """A random program: chains, merges, blocks with parameters, repeats, references, in one to three dimensions.

    Most are sound; windows are sometimes too large for what is left of the input.
    """
    axes = 2 if open_sizes else draw(st.sampled_from([1, 2, 2, 2, 3]))
    sizes = [draw(st.integers(*{1: (20, 60), 2: (14, 40), 3: (8, 14)}[axes])) for _ in range(axes)]
    writer = _Writer(draw, axes, open_sizes)
    lines = []
    if draw(st.booleans()):
        lines.append(f"default conv({draw(st.sampled_from(['act=relu', 'norm=bn, act=relu6', 'bias=no', 'norm=bn(eps=0.001)']))})")
    blocks = draw(st.integers(0, 2))
    for number in range(blocks):
        lines.append(writer.block(f"unit{'ab'[number]}"))
    if axes == 1 and draw(st.booleans()):
        lines.append(f"input {sizes[0]}\nembedding({draw(st.integers(1, 30))}, {draw(st.integers(1, 6))})")
    else:
        lines.append(f"input {draw(st.integers(1, 6))}x" + "x".join(map(str, sizes)))
    for _ in range(draw(st.integers(1, 6))):
        lines.append(writer.statement())
    if draw(st.booleans()):
        pooled = "adaptive_avgpool1; " if open_sizes or draw(st.booleans()) else ""
        lines.append(f"{pooled}FC-{draw(st.integers(1, 12))}")
    return "\n".join(lines) + "\n"


class _Writer:
    """Writes parts of a program, all by drawing."""

    def __init__(self, draw: st.DrawFn, axes: int, open_sizes: bool) -> None:
        self.draw = draw
        self.axes = axes
        self.open_sizes = open_sizes
        self.labels: list[str] = []
        self.blocks: list[str] = []
        self.strides = 0

    def one(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def block(self, name: str) -> str:
        body = self.one(
            "conv3-{w}/{s}(pad=1)",
            "conv1-{w}; conv3-{w}/{s}(pad=same); relu",
            "concat<conv1-{w}/{s} | conv3-{2*w}/{s}(pad=1)>",
            "if s == 1 and in.c == w { residual<conv3-{w}(pad=1)> } else { add<conv1-{w}/{s} | conv3-{w}/{s}(pad=1)> }",
            "for k in [1, 3] { conv{k}-{w}(pad=same) }",
            "let half = max(w // 2, 1)\n  inner: [ conv1-{half}; conv3-{w}/{s}(pad=1, bias=no) ]",
        )
        self.blocks.append(name)
        return f"block {name}(w, s=1) {{\n  {body}\n}}"

    def statement(self) -> str:
        label = ""
        if self.draw(st.integers(0, 3)) == 0:
            label = f"part{len(self.labels)}"
            self.labels.append(label)
        item = self.item(depth=2)
        if self.labels and not label and self.draw(st.integers(0, 5)) == 0:
            item = f"side: {{ {item} }}; @{self.draw(st.sampled_from(self.labels))}" if "side" not in self.labels else item
            self.labels.append("side")
        whole = f"{{ {item} }}" if "; " in item else item  # a label is that of one item
        return f"{label}: {whole}" if label else item

    def item(self, depth: int) -> str:
        kind = self.number(0, 11)
        if kind <= 3 or depth == 0:
            return self.convolution()
        if kind == 10:
            return self.moved()
        if kind == 11:
            return self.looped()
        if kind == 4:
            return self.pool()
        if kind == 5:
            return self.same() + (f" x{self.number(0, 3)}" if self.draw(st.booleans()) else "")
        if kind == 6:
            body = "; ".join(self.same() for _ in range(self.number(0, 2)))
            return f"{{ let c = in.c; residual<{body}; conv1-{{c}}{self.one('', ' | conv1-{c}', ' | .')}> }}"
        if kind == 7:
            branches = [self.branch(depth - 1) for _ in range(self.number(1, 3))]
            return f"concat<{' | '.join(branches)}>"
        if kind == 8 and self.blocks:
            return f"{self.draw(st.sampled_from(self.blocks))}({self.number(1, 6)}{self.one('', ', s=2', ', 1')})" + self.one("", " x2")
        return f"{{ {self.same()}; {self.item(depth - 1)} }}"

    def branch(self, depth: int) -> str:
        """Keeps the sizes, so that it can be joined with others."""
        return self.one(".", "", "; ".join(self.same() for _ in range(self.number(1, 2))), f"conv3-{self.number(1, 5)}(pad=same)")

    def moved(self) -> str:
        """Items that change the axes, and for some that change them back; the number of axes stays."""
        few = 'stack(axis=c)<. | relu>; rearrange("n c ... -> (c n) ...")'
        if self.axes == 1:
            return self.one(
                "matmul(transpose_b=yes)<. | neg>",
                "reduce_max(axis=w)",
                'stack(axis=h)<. | tanh | .>; rearrange("c n w -> c (w n)")',
                few,
                "reduce_mean(axis=w, keep=no); " + ("stack(axis=w)<. | relu>"),
                "slice(0, in.w - 1, axis=w)",
                *(() if self.open_sizes else ("transpose", "concat(axis=w)<learned(1) | .>", "token(-1); stack(axis=w)<.>")),
            )
        if self.axes == 2:
            return self.one(
                "transpose(h, w)",
                "reduce_norm(axis=h)",
                'stack(axis=d)<. | relu>; rearrange("c d h w -> (d c) h w")',
                few,
                'rearrange("c h w -> c w h")',
                "slice(1, in.h, step=2, axis=h)",
                "concat(axis=h)<. | . | flip(axis=h)>",
                "matmul(transpose_a=yes)<. | exp>",
                "reduce_min(axis=w, keep=no); stack(axis=h)<. | .>",
            )
        return self.one(
            "transpose(d, w)",
            "reduce_sum(axis=[h, d])",
            'rearrange("c d ... -> c ... d")',
            "slice(0, in.d, step=2, axis=d)",
            "concat(axis=d)<. | neg>",
            "reduce_mean(axis=h, keep=no); stack(axis=d)<. | .>",
        )

    def looped(self) -> str:
        """A loop with a state: a list of tensors that a merge takes, or the sum of all turns."""
        name = f"s{self.number(0, 99)}_{len(self.labels)}_{self.strides}"
        self.strides += 1
        merge = self.one("add", "concat", "mean", "max")
        turns = self.number(1, 3)
        listed = f"{{ for i in range({turns}) with {name} = [in] {{ {self.same()}; conv1-2; next {name} = {name} + [in] }}; "
        return self.one(
            f"{{ conv1-2; {listed[2:]}{merge}<for t in {name} | @t>{' }'}",
            f"{{ for i in range({turns}) with {name} = in {{ conv1-{{in.c}}; add<. | @{name}>; next {name} = in }}; concat<. | @{name}> }}",
        )

    def attended(self) -> str:
        """Attention, and layers over tokens, which keep the sizes."""
        recurrent = self.one("gru", "lstm") + f"-{self.number(1, 5)}({self.one('layers=1', 'bidirectional=yes', 'layers=2, bias=no')})"
        choices = [
            "multihead_attention(in.c)",
            "multihead_attention(1)<. | conv1-{2*in.c}>",
            "multihead_attention(1, bias=no)<. | conv1-3 | conv1-2>",
            "{ channel_fc-{3*in.c}; attention(in.c // 3) }",
            "attention(1, causal=yes)<. | neg | conv1-4>",
        ]
        if self.axes == 1:
            choices += [recurrent, "gru(in.c)<. | reduce_mean(axis=w, keep=no)>"]
        if self.axes == 2:
            choices.append(f"{{ let hs = in.h; let ws = in.w; tokens; {recurrent}; map([hs, ws]) }}")
        if self.axes > 1:
            choices += [f"window_attention(in.c, window={self.number(2, 4)}, shift={self.number(0, 1)}, pad=yes)"]
        return self.one(*choices)

    def arithmetic(self) -> str:
        """Merges and functions value by value, reductions that are repeated, and patterns; the sizes stay."""
        return self.one(
            f"{self.one('sub', 'div', 'mean', 'max', 'min')}<. | {self.one('relu', 'exp', 'conv1-{in.c}')}{self.one('', ' | .')}>",
            f"{self.one('add', 'sub')}(broadcast=yes)<. | reduce_{self.one('mean', 'max', 'norm')}(axis=c)>",
            "mul<reduce_sum(axis=c) | .>",
            f"div<. | reduce_norm(axis={['', 'w', '[h, w]', '[d, h, w]'][self.axes]}); clamp(min=0.1)>",
            f"{self.one('softmax', 'log_softmax', 'softmin', 'l2_norm')}(axis={self.one('c', 'w', '[c, w]')})",
            self.one("square", "scale(0.5)", "shift(1)", "clamp(0, 6)", "pow(2)", "rms_norm", "layer_norm", "group_norm(in.c)"),
            'rearrange("(g c) ... -> (c g) ...", g=in.c)',
            "{ conv1-{2*in.c}; glu }",
            "gather([0, 0])",
            "normal_noise",
            "add<. | learned>" if not self.open_sizes else "abs",
        )

    def same(self) -> str:
        """An operator that keeps the sizes."""
        kind = self.number(0, 5)
        if kind == 0:
            return self.attended()
        if kind <= 2:
            return self.arithmetic()
        k = self.number(0, 3) * 2 + 1
        return self.one(
            f"conv{k}-{self.number(1, 6)}(pad=same, dilation={self.number(1, 2)})",
            f"conv{k}-{{in.c}}(pad=same, groups=in.c)",
            f"conv{k}-{{2*in.c}}(pad={k // 2}, groups=in.c, bias=no)",
            "maxpool3/1(pad=1)",
            "avgpool3/1(pad=1, count_pad=no)",
            "bn",
            "relu",
            "dropout(0.5)",
            "lrn(5)",
            "layer_scale",
            "leaky_relu(0.2)",
            "roll(w=-1)",
            "flip(axis=w)",
            "slice(0, in.c)",
            f"conv3-{self.number(1, 6)}(pad=same, weight=standardized)",
            "mul<. | adaptive_avgpool1; sigmoid>",
        )

    def convolution(self) -> str:
        kernel = self.kernel()
        stride = f"/{self.stride()}" if self.draw(st.booleans()) else ""
        options = [f"pad={self.number(0, 3)}" if self.draw(st.booleans()) else "pad=0", f"dilation={self.number(1, 2)}"]
        if self.draw(st.integers(0, 4)) == 0:
            return f"convt{self.number(1, 3)}-{self.number(1, 4)}/{self.number(1, 2)}"
        return f"conv{kernel}-{self.number(1, 8)}{stride}({', '.join(self.draw(st.permutations(options)))})"

    def pool(self) -> str:
        k = self.number(1, 4)
        options = [f"pad={self.number(0, k // 2)}", f"ceil={self.one('yes', 'no')}"]
        return f"{self.one('maxpool', 'avgpool')}{k}/{self.stride()}({', '.join(options)})"

    def kernel(self) -> str:
        if self.draw(st.booleans()):
            return str(self.number(1, 5))
        return "x".join(str(self.number(1, 4)) for _ in range(self.axes))

    def stride(self) -> int:
        self.strides += 1
        return self.number(1, 3) if self.strides < 4 else 1
