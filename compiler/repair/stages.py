"""Repairs modeled on other stages: arguments that the same block or operator has elsewhere in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archc.compiler.repair.places import SOLVED, Candidates, is_op, ops_in, option, repair, with_option
from archc.compiler.repair.trial import Trials
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Edit
from archc.dsl.source import Span

MOST_MODELS = 6  # most other uses that are examined, nearest first


def as_other_stages(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Since the last claim: add an argument that other uses of an item have, or a pool as elsewhere."""
    if d.code == "E0502" and not d.facts.get("node"):
        return
    between: Sequence[Span] = d.facts.get("between") or [span]
    ops = ops_in(trials.tree)
    mine = [op for op in ops if any(_within(op.span, step) for step in between if step.source is trials.source)]
    for op in mine:
        models = sorted((o for o in ops if o.word == op.word and o.span != op.span), key=lambda o: abs(o.span.line - op.span.line))
        for model in models[:MOST_MODELS]:
            for text, edit in _as(op, model):
                yield repair(f"{text}, as on line {model.span.line}", edit)
    actual, claimed = d.facts["actual"], d.facts["claimed"]
    if actual[1:] != claimed[1:]:
        inside = _called(mine, trials.tree)
        yield from (repair("stride 2", with_option(op, "stride", "2"), kind=SOLVED) for op in inside if _unstrided(op))
    pool = next((op for op in ops if op.word.lower().startswith("maxpool") and op not in mine), None)
    if pool is not None and "claim" in d.facts and len(actual) == len(claimed) and actual[0] == claimed[0] and actual != claimed:
        end = d.facts["claim"].start
        text = span.source.text
        while text[end - 1] in " \t":
            end -= 1
        what = f"`{pool.span.text}` before the claim, as on line {pool.span.line}"
        yield repair(what, Edit(Span(span.source, end, end), f"; {pool.span.text}"), kind=SOLVED)


def _called(ops: Sequence[ast.Op], tree: ast.File) -> list[ast.Op]:
    """Return the operators in the blocks that some items call, directly or indirectly."""
    blocks = {node.name: node for node in tree.statements if isinstance(node, ast.Block)}
    found: dict[str, list[ast.Op]] = {}
    waiting = [op.word for op in ops]
    while waiting:
        word = waiting.pop()
        if word in blocks and word not in found:
            found[word] = ops_in(*blocks[word].body)
            waiting.extend(op.word for op in found[word])
    return [op for inner in found.values() for op in inner]


def _unstrided(op: ast.Op) -> bool:
    return is_op(op, "conv", "convt") and not op.stride and option(op, "stride") is None


def _within(inner: Span, outer: Span) -> bool:
    return inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


def _as(op: ast.Op, model: ast.Op) -> Iterator[tuple[str, Edit]]:
    """Yield what another use of an operator is passed and this one is not: the stride first, then other arguments."""
    if model.stride and not op.stride and not any(arg.name == "stride" for arg in op.args):
        stride = model.stride[0].span.text
        stride = stride if stride.isdigit() else f"{{{stride.strip('{}')}}}"
        yield f"stride {stride}", with_option(op, "stride", stride)
    for arg in model.args:
        if arg.name is not None and option(op, arg.name) is None:
            yield f"`{arg.name}={arg.value.span.text}`", with_option(op, arg.name, arg.value.span.text)
    positional = [arg.value.span.text for arg in op.args if arg.name is None]
    there = [arg.value.span.text for arg in model.args if arg.name is None]
    if len(there) > len(positional) and op.args and not any(arg.name for arg in op.args):
        end, more = op.args[-1].span, ", ".join(there[len(positional) :])
        yield f"`{more}`", Edit(Span(end.source, end.end, end.end), f", {more}")
