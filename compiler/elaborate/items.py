"""Items, the elements of a chain: operators, blocks, merges, groups, references, repeats, labels and claims."""

from __future__ import annotations

import re
from dataclasses import replace

from archc.compiler.elaborate.arithmetic import describe
from archc.compiler.elaborate.calls import Invocation, bind_settings, invoke
from archc.compiler.elaborate.claims import Claim, check_shape, place_of_claim
from archc.compiler.elaborate.elaboration import Elaboration
from archc.compiler.elaborate.environment import BlockValue
from archc.compiler.elaborate.evaluate import evaluated, evaluated_size, referred
from archc.compiler.elaborate.evaluate import value as value_of
from archc.compiler.elaborate.loops import branches as turns
from archc.compiler.elaborate.nodes import Use, apply, skip, word_arguments
from archc.compiler.elaborate.options import Signature, bind_arguments, split_word
from archc.compiler.elaborate.scopes import Flow, Label, Missing, Tensor, check_label, in_graph, is_tensor
from archc.compiler.elaborate.site import Site
from archc.compiler.elaborate.strangers import RESIDUAL, unknown_word
from archc.compiler.elaborate.workings import Workings
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import NONE, Whole, Word
from archc.dsl import ast
from archc.dsl.diagnostics import Fault
from archc.dsl.source import Span
from archc.dsl.vocabulary import files, names, shapes, values

POOLS = {"max": "maxpool3/2", "mean": "avgpool3/2"}  # what a merge with a kernel is meant to be
DEFINING = ("block", "share", "let", "use", "for", "arch", "def", "function", "class", "import", "from")  # words that begin a definition


def item(elaboration: Elaboration, item: ast.Item, site: Site) -> Flow:
    """Elaborate an item with its label, its copies and its claim; return what it produces."""
    try:
        label = _label(elaboration, item.label, site)
        if item.count is not None:
            result = _copies(elaboration, item, item.count, label, site)
        else:
            result = _core(elaboration, item.core, label, site)
    except Fault as fault:
        elaboration.report(fault, site, item.span)
        result = Missing.UNKNOWN
    if item.claim is not None:
        result = _claimed(elaboration, item, item.claim, result, site)
    elaboration.returned(item.span, site.frame, result)
    return result


def _core(elaboration: Elaboration, core: ast.Core, label: Label | None, site: Site) -> Flow:
    """Elaborate one copy of an item. Raises Fault."""
    match core:
        case ast.Op():
            return _op(elaboration, core, label, site)
        case ast.Merge():
            return _merge(elaboration, core, label, site)
        case ast.Group():
            return _group(elaboration, core, label, site)
        case ast.Here():
            return _alias(site.incoming, label, core.span, site)
        case ast.Ref():
            return _alias(referred(core, site), label, core.span, site)
        case ast.Index():
            return _alias(_picked(core, site), label, core.span, site)
        case ast.Broken():
            return _broken(core, site)


def _label(elaboration: Elaboration, label: ast.Label | None, site: Site) -> Label | None:
    """Return the label of an item with its index evaluated. Raises Fault for one that cannot be a name."""
    if label is None:
        return None
    text = label.text
    for index, dash in ((label.index, ""), (label.second, "-")):
        value = evaluated(elaboration, index, site) if index is not None else None
        if value is not None and value is not Missing.POISONED:
            text += dash + str(Whole(0).read("a label's number", value, 1))
    check_label(text, label.span)
    return Label(text, label.span)


def _copies(elaboration: Elaboration, item: ast.Item, written: ast.Expr, label: Label | None, site: Site) -> Flow:
    """Elaborate `item x3`, copy by copy; with a label, in a scope of that name."""
    value = evaluated(elaboration, written, site)
    if value is Missing.POISONED:
        return Missing.UNKNOWN
    try:
        count = Whole(0).read("the number of copies", value, 1)
    except Fault as fault:
        found = fault.diagnostic.at(written.span)
        raise Fault(Workings(written, site, value).added_to(found)) from None
    elaboration.step(site, item.span, count)
    inner = site
    if label is not None:
        name = site.labels.new_name(label, label.text, item.span)
        inner = site.labelled(site.labels.child(name))
        site.labels.members[name] = inner.labels
    result = site.incoming
    for copy in range(count):
        number = Label(str(copy), item.span) if label is not None else None
        with elaboration.entered(inner.after(result).inside(f"copy {copy + 1} of {count}", item.span)) as inside:
            result = _core(elaboration, item.core, number, inside)
    if label is not None:
        inner.labels.result = result
    return result


def _claimed(elaboration: Elaboration, item: ast.Item, claim: ast.Dims, result: Flow, site: Site) -> Flow:
    """Check `=> shape`, and continue with the claimed shape, so that one mistake is one message."""
    try:
        for dim in claim:
            if isinstance(dim, ast.Name) and site.env.find(dim.name) is None:  # only an `input` leaves sizes open
                hint = "only an `input` leaves sizes open"
                found = site.env.defined_later(dim.name) or names.unknown_name(dim.name, site.env.known(blocks=False), hint=hint)
                raise Fault(found.at(dim.span))
        claimed = tuple(evaluated_size(elaboration, dim, site) for dim in claim)
    except Fault as fault:
        elaboration.report(fault, site, item.claim_span)
        return result
    if Missing.POISONED in claimed or result is Missing.NO_INPUT:
        return result
    if isinstance(result, Missing):
        return Tensor("", claimed)
    span = item.claim_span or item.span
    checked, problem = check_shape(Claim(_shown(item, result), item.span, item.core.span, span, claimed), result, elaboration.graph)
    if bool(elaboration.overrides) and not checked.held:
        checked, problem = replace(checked, waived=True), None
    if span not in elaboration.claims or not checked.held:
        elaboration.claims[span] = checked
    if problem is None:
        if in_graph(result):
            elaboration.claimed_at[place_of_claim(result, site.labels, elaboration.created[-1].name)] = result.name
        return result
    elaboration.report(problem, site)
    elaboration.graph.claimed[result.name] = claimed
    return Tensor(result.name, claimed)


def _shown(item: ast.Item, result: Tensor) -> str:
    """What a message calls an item: its label, else the operator as written, else the node."""
    if item.label is not None:
        return item.label.span.text.rstrip(": ")
    return item.core.span.text if isinstance(item.core, ast.Op) and "\n" not in item.core.span.text else result.name


# ---- one function for each kind of item


def _op(elaboration: Elaboration, op: ast.Op, label: Label | None, site: Site) -> Flow:
    """Elaborate an operator, or a call of a block."""
    stem, kernel = split_word(op.word, op.kernel, site.env, op.word_span)
    held = site.env.callee(stem)
    if held is Missing.POISONED:
        return Missing.UNKNOWN
    if held == NONE:  # a parameter that holds nothing does nothing
        return _alias(site.incoming, label, op.span, site)
    if isinstance(held, BlockValue):
        given = bind_arguments(elaboration, op, kernel, Signature.of_block(held), site)
        if given is None:
            return skip(label, held.name, op.span, site)
        return invoke(elaboration, Invocation(held, {**bind_settings(held, op.span), **given}, op.span, label), site)
    stem = held.text if isinstance(held, Word) else stem
    operator = OPERATORS.get(stem.lower())
    if operator is None:
        if not site.env.is_incomplete:
            found = site.env.defined_later(stem) or site.env.defined_later(op.word) or unknown_word(op, stem, site)
            elaboration.report(found.at(op.word_span), site)
        return skip(label, stem, op.span, site)
    if f"reduce_{operator.name}" in OPERATORS:  # `mean(axis=c)`, `max3/2`
        meant = POOLS.get(operator.name, "") if kernel else f"reduce_{operator.name}(axis=c)"
        raise Fault(shapes.wrong_branch_count(operator.name, f"branches: `{operator.name}<a | b>`", 0, meant).at(op.span))
    given = bind_arguments(elaboration, op, kernel, Signature.of_operator(operator), site)
    if operator.operands != (1, 1) and not operator.plain:
        raise Fault(shapes.wrong_branch_count(operator.name, f"branches: `{operator.name}<a | b>`", 0).at(op.span))
    if given is None:
        return skip(label, operator.name, op.span, site)
    if isinstance(held, Word):
        given = {**word_arguments(operator, held, op.span), **given}
    return apply(elaboration, Use(operator, given, [site.incoming], op.span, label), site)


def _merge(elaboration: Elaboration, merge: ast.Merge, label: Label | None, site: Site) -> Flow:
    """Elaborate `add<a | b>`, every branch from the same tensor; `residual<a>` adds that tensor to its one branch."""
    word = merge.word.lower()
    residual = word == RESIDUAL
    held = site.env.callee(merge.word) if word not in OPERATORS and not residual else None
    if held is Missing.POISONED:
        return Missing.UNKNOWN
    operator = OPERATORS.get("add" if residual else held.text if isinstance(held, Word) else word)
    if operator is None or operator.operands == (1, 1):
        if operator is not None or site.env.block(merge.word) is not None:
            elaboration.report(shapes.takes_no_branches(merge.word), site, merge.word_span)
        else:
            known = [RESIDUAL, *(name for name, other in OPERATORS.items() if other.operands != (1, 1))]
            elaboration.report(names.unknown_operator(merge.word, known), site, merge.word_span)
        return Missing.UNKNOWN
    options = ast.Op(merge.span, merge.word, (), None, (), merge.args, merge.word_span)
    given = bind_arguments(elaboration, options, (), Signature.of_operator(operator), site)
    branches = _branches(elaboration, merge, site)
    if branches is None:
        return skip(label, operator.name, merge.span, site)
    count = len(branches)
    if residual and count == 1:
        branches.append(site.incoming)
    least, most = (2, 2) if residual else operator.operands
    if len(branches) < least or (most is not None and len(branches) > most):
        least_or_most = f"{'at least ' if least != most else ''}{least}" if count < least else f"at most {most}"
        expected = "one branch or two" if residual else f"{least_or_most} branches"
        empty = any(isinstance(statement, ast.Turns) for branch in merge.branches for statement in branch)
        raise Fault(shapes.wrong_branch_count(word, expected, count, listed=empty).at(merge.word_span))
    if given is None:
        return skip(label, operator.name, merge.span, site)
    if isinstance(held, Word):
        given = {**word_arguments(operator, held, merge.span), **given}
    return apply(elaboration, Use(operator, given, branches, merge.span, label, operator.name if held else word), site)


def _branches(elaboration: Elaboration, merge: ast.Merge, site: Site) -> list[Flow] | None:
    """Elaborate the branches of a merge, those of a list one for each element; None after a mistake in a list."""
    made: list[Flow] = []
    for branch in merge.branches:
        match branch:
            case (ast.Turns() as listed,):
                each = turns(elaboration, listed, site)
                if each is None:
                    return None
                made.extend(each)
            case _:
                made.append(elaboration.body(elaboration, branch, site.nested()))
    return made


def _group(elaboration: Elaboration, group: ast.Group, label: Label | None, site: Site) -> Flow:
    """Elaborate `{ ... }`, a scope if it has a label, or `[ ... ]`, a scope whose members are numbered."""
    if label is None and not group.numbered:
        with elaboration.entered(site.nested().inside("{ ... }", group.span)) as inside:
            return elaboration.body(elaboration, group.body, inside)
    name = site.labels.new_name(label, "seq", group.span)
    scope = site.labels.child(name, numbered=group.numbered)
    site.labels.members[name] = scope
    with elaboration.entered(site.labelled(scope).nested().inside(scope.path, group.span)) as inside:
        scope.result = elaboration.body(elaboration, group.body, inside)
    return scope.result


def _alias(named: Flow, label: Label | None, span: Span, site: Site) -> Flow:
    """Return a tensor; a label on `.` or `@name` is another name for it."""
    if label is not None:
        if named is Missing.NO_INPUT:
            raise Fault(files.no_input().at(span))
        site.labels.members[site.labels.new_name(label, label.text, span)] = named
    return named


def _picked(core: ast.Index, site: Site) -> Flow:
    """Return the tensor of `@ys[0]`. Raises Fault, with a place."""
    held = value_of(core, site)
    if held is Missing.POISONED:
        return Missing.UNKNOWN
    if not is_tensor(held):
        help_text = "an expression builds nothing; a loop calls it: `for x in xs { @x; name(8) }`" if isinstance(held, BlockValue) else ""
        raise Fault(values.wrong_kind(f"`{core.span.text}`, as an item,", "a tensor", describe(held), help_text).at(core.span))
    found: Flow = held
    return found


def _broken(broken: ast.Broken, site: Site) -> Flow:
    """Skip what could not be read. It may have defined something, so unknown names after it are not reported."""
    source = broken.span.source
    text = source.text[broken.span.start : source.text.find("\n", broken.span.start)].lstrip()
    if text.startswith(DEFINING):
        site.env.incomplete = True
    if named := re.match(r"([A-Za-z_]\w*)\s*[:=]", text):
        site.labels.members.setdefault(named[1], Missing.UNKNOWN)
    if found := re.match(r"(?:([A-Za-z_]\w*)\s*:\s*)?([A-Za-z]\w*)", text):  # so that others keep their names
        stem, _ = split_word(found[2], (), site.env, broken.span)
        if stem.lower() in OPERATORS and (found[1] is None or found[1] not in site.labels.places):
            site.labels.new_name(Label(found[1], broken.span) if found[1] else None, stem.lower(), broken.span)
    return Missing.UNKNOWN
