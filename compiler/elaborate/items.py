"""Items: what stands in a chain. Operators, blocks, merges, groups, references, repeats, labels and claims."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from archc.compiler.elaborate.builder import NOTHING
from archc.compiler.elaborate.claims import check_shape, place_of_claim
from archc.compiler.elaborate.environment import BlockValue, Env
from archc.compiler.elaborate.evaluate import Evaluator
from archc.compiler.elaborate.nodes import NodeExpander, bind_settings, word_options
from archc.compiler.elaborate.options import Callee, evaluate_item, split_word
from archc.compiler.elaborate.scopes import UNKNOWN, Poison, Scope, Tensor, check_label
from archc.compiler.elaborate.strangers import RESIDUAL, unknown_word
from archc.compiler.elaborate.workings import Workings
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import NONE, Whole, Word
from archc.dsl import ast
from archc.dsl.diagnostics import Fault
from archc.dsl.source import Span
from archc.dsl.vocabulary import files, names
from archc.dsl.vocabulary import shapes as shape_says


class ItemExpander(NodeExpander):
    """Expands items."""

    def _item(self, item: ast.Item, env: Env, scope: Scope, current: Tensor) -> Tensor:
        try:
            label = self._label(item.label, env, scope, current)
            fresh = label is not None and label not in scope.places
            result = self._repeated(item, label, env, scope, current) if item.count is not None else None
            if item.count is None:
                result = self._core(item.core, label, env, scope, current)
            if fresh and item.label is not None and label in scope.places:
                scope.places[label] = item.label.span  # for the message of a second one
        except Fault as fault:
            found = fault.diagnostic
            if found.code == "E0205" and item.label is not None:
                found = replace(found, span=item.label.span)
            self.report(found, item.span)
            result = UNKNOWN
        assert result is not None
        if item.claim is not None:
            result = self._claimed(item, result, env, scope)
        return result

    def _core(self, core: ast.Core, label: str | None, env: Env, scope: Scope, current: Tensor) -> Tensor:
        visit: Callable[..., Tensor] = getattr(self, "_" + type(core).__name__.lower())
        return visit(core, label, env, scope, current)

    def _label(self, label: ast.Label | None, env: Env, scope: Scope, current: Tensor) -> str | None:
        if label is None:
            return None
        text = label.text
        if label.index is not None:
            value = self._value(label.index, env, scope, current)
            text += "" if isinstance(value, Poison) else str(Whole(0).read("a label's number", value, 1))
        if label.second is not None:
            value = self._value(label.second, env, scope, current)
            text += "" if isinstance(value, Poison) else "-" + str(Whole(0).read("a label's number", value, 1))
        check_label(text, label.span)
        return text

    def _repeated(self, item: ast.Item, label: str | None, env: Env, scope: Scope, current: Tensor) -> Tensor:
        assert item.count is not None
        value = self._value(item.count, env, scope, current)
        if isinstance(value, Poison):
            return UNKNOWN
        try:
            count = Whole(0).read("the number of copies", value, 1)
        except Fault as fault:
            found = fault.diagnostic.at(item.count.span)
            raise Fault(Workings(item.count, Evaluator(env, scope, current), value).added_to(found)) from None
        self._step(item.span, count)
        inner = scope
        if label is not None:
            name = scope.new_name(label, label, item.span)
            inner = scope.child(name)
            scope.members[name] = inner
        for copy in range(count):
            with self._within(f"copy {copy + 1} of {count}", item.span):
                copy_label = str(copy) if label is not None else None
                current = self._core(item.core, copy_label, env, inner, current)
        inner.result = current if label is not None else inner.result
        return current

    def _claimed(self, item: ast.Item, result: Tensor, env: Env, scope: Scope) -> Tensor:
        """Check `=> shape`; go on with the claimed shape, so that one mistake gives one message."""
        assert item.claim is not None
        try:
            for dim in item.claim:
                if isinstance(dim, ast.Name) and env.find(dim.name) is None:  # only an `input` leaves sizes open
                    unknown = env.defined_later(dim.name) or names.unknown_name(dim.name, env.known(blocks=False))
                    raise Fault(replace(unknown, help=unknown.help or "only an `input` leaves sizes open").at(dim.span))
            claimed = tuple(self._size(dim, env) for dim in item.claim)
        except Fault as fault:
            self.report(fault, item.claim_span)
            return result
        if any(isinstance(dim, Poison) for dim in claimed) or result is NOTHING:
            return result
        span = item.claim_span or item.span
        if result.shape is None:
            return Tensor(result.name, claimed)
        shown, place, waived = _shown(item, result), item.core.span, bool(self.overrides)
        found, problem = check_shape(shown, result, claimed, self.graph, place, span, waived)
        if span not in self.claims or not found.held:
            self.claims[span] = found
        if problem is not None:
            self.report(replace(problem, facts={**problem.facts, "item": item.span}))
            self.graph.claimed[result.name] = claimed
            return Tensor(result.name, claimed)
        if result.in_graph:
            self.claimed_at[place_of_claim(result, scope, self._created[-1].name)] = result.name
        return result

    def _op(self, op: ast.Op, label: str | None, env: Env, scope: Scope, current: Tensor) -> Tensor:
        stem, kernel = split_word(op.word, op.kernel, env, op.word_span)
        held = env.callee(stem)
        if isinstance(held, Poison):
            return UNKNOWN
        block = held if isinstance(held, BlockValue) else None
        if held == NONE:  # a parameter that holds nothing does nothing
            return self._alias(current, label, scope, op.span)
        if isinstance(held, Word):
            stem = held.text
        operator = None if block is not None else OPERATORS.get(stem.lower())
        evaluator = Evaluator(env, scope, current, self._spend)
        if block is not None:
            given = evaluate_item(op, kernel, Callee.of_block(block), evaluator, self.report, self.doubt)
            if given is None:
                self._skip(label, block.name, scope, op.span)
                return UNKNOWN
            return self._call(block, {**bind_settings(block, op.span), **given}, label, scope, current, op.span)
        if operator is None:
            if not env.is_incomplete:
                found = env.defined_later(stem) or env.defined_later(op.word) or unknown_word(op, stem, env, current)
                self.report(found.at(op.word_span))
            self._skip(label, stem, scope, op.span)
            return UNKNOWN
        given = evaluate_item(op, kernel, Callee.of_operator(operator), evaluator, self.report, self.doubt)
        if operator.operands != (1, 1):
            raise Fault(shape_says.wrong_branch_count(operator.name, "branches: `" + operator.name + "<a | b>`", 0).at(op.span))
        if given is None:
            self._skip(label, operator.name, scope, op.span)
            return UNKNOWN
        if isinstance(held, Word):
            given = {**word_options(operator, held, op.span), **given}
        return self._apply(operator, given, label, env, scope, [current], op.span)

    def _merge(self, merge: ast.Merge, label: str | None, env: Env, scope: Scope, current: Tensor) -> Tensor:
        word = merge.word.lower()
        residual = word == RESIDUAL
        operator = OPERATORS.get("add" if residual else word)
        if operator is None or operator.operands == (1, 1):
            known = [RESIDUAL, *(name for name, op in OPERATORS.items() if op.operands != (1, 1))]
            if operator is not None or env.block(merge.word) is not None:
                self.report(shape_says.takes_no_branches(merge.word), merge.word_span)
            else:
                self.report(names.unknown_operator(merge.word, known), merge.word_span)
            return UNKNOWN
        options = ast.Op(merge.span, merge.word, (), None, (), merge.args, merge.word_span)
        evaluator = Evaluator(env, scope, current, self._spend)
        given = evaluate_item(options, (), Callee.of_operator(operator), evaluator, self.report, self.doubt)
        tensors: list[Tensor] = []
        for branch in merge.branches:
            tensors.append(self._statements(branch, Env(parent=env), scope, current))
        if residual and len(tensors) == 1:
            tensors.append(current)
        least, most = (2, 2) if residual else operator.operands
        if len(tensors) < least or (most is not None and len(tensors) > most):
            expected = "one branch or two" if residual else f"at least {least} branches"
            raise Fault(shape_says.wrong_branch_count(word, expected, len(merge.branches)).at(merge.word_span))
        if given is None:
            self._skip(label, operator.name, scope, merge.span)
            return UNKNOWN
        return self._apply(operator, given, label, env, scope, tensors, merge.span, word)

    def _group(self, group: ast.Group, label: str | None, env: Env, scope: Scope, current: Tensor) -> Tensor:
        """`{ ... }`: a scope where it has a label; `[ ... ]`: a scope whose members are numbered."""
        if label is None and not group.numbered:
            with self._within("{ ... }", group.span):
                return self._statements(group.body, Env(parent=env), scope, current)
        name = scope.new_name(label, "seq", group.span)
        inner = scope.child(name, numbered=group.numbered)
        scope.members[name] = inner
        with self._within(f"{scope.full(name)}", group.span):
            inner.result = self._statements(group.body, Env(parent=env), inner, current)
        return inner.result

    def _here(self, here: ast.Here, label: str | None, env: Env, scope: Scope, current: Tensor) -> Tensor:
        return self._alias(current, label, scope, here.span)

    def _ref(self, ref: ast.Ref, label: str | None, env: Env, scope: Scope, current: Tensor) -> Tensor:
        tensor = Evaluator(env, scope, current).tensor(ref.path, ref.span)
        return self._alias(tensor, label, scope, ref.span)

    def _alias(self, tensor: Tensor, label: str | None, scope: Scope, span: Span) -> Tensor:
        """A label on `.` or `@name` is another name for that tensor."""
        if label is not None:
            if tensor is NOTHING:
                raise Fault(files.no_input().at(span))
            scope.members[scope.new_name(label, label, span)] = tensor
        return tensor

    def _broken(self, broken: ast.Broken, label: str | None, env: Env, scope: Scope, current: Tensor) -> Tensor:
        """What could not be read may have defined something: names that are not known behind it are not to be judged."""
        source = broken.span.source
        text = source.text[broken.span.start : source.text.find("\n", broken.span.start)].lstrip()
        if text.startswith(("block", "share", "let", "use", "for", "arch", "def", "function", "class", "import", "from")):
            env.incomplete = True
        if named := re.match(r"([A-Za-z_]\w*)\s*[:=]", text):
            scope.members.setdefault(named[1], UNKNOWN)
        if item := re.match(r"(?:([A-Za-z_]\w*)\s*:\s*)?([A-Za-z]\w*)", text):  # so that others keep their names
            stem, _ = split_word(item[2], (), env, broken.span)
            if stem.lower() in OPERATORS and (item[1] is None or item[1] not in scope.places):
                scope.new_name(item[1], stem.lower(), broken.span)
        return UNKNOWN


def _shown(item: ast.Item, result: Tensor) -> str:
    """What a message calls an item: its label, else the operator as written, else the node."""
    if item.label is not None:
        return item.label.span.text.rstrip(": ")
    return item.core.span.text if isinstance(item.core, ast.Op) and "\n" not in item.core.span.text else result.name
