"""Loops: the turns of `for`, in a body and in a merge, and the state that a loop passes from one turn to the next."""

from __future__ import annotations

from typing import Any

from archc.compiler.elaborate.arithmetic import describe
from archc.compiler.elaborate.elaboration import Elaboration
from archc.compiler.elaborate.environment import STATE, VARIABLE, BoundArgument, Environment
from archc.compiler.elaborate.evaluate import evaluated
from archc.compiler.elaborate.patterns import placed, unpack
from archc.compiler.elaborate.scopes import Flow, Missing
from archc.compiler.elaborate.site import Site
from archc.compiler.elaborate.workings import Workings
from archc.dsl import ast
from archc.dsl.diagnostics import Fault, Related
from archc.dsl.vocabulary import loops as says
from archc.dsl.vocabulary import names, values


def loop(elaboration: Elaboration, statement: ast.For, site: Site) -> Flow:
    """Elaborate a loop: each turn starts with the tensor and the states of the previous one."""
    states = _first_states(elaboration, statement, site)
    result = _turns(elaboration, statement, states, site)
    for state in {state.name: state for state in reversed(statement.states)}.values():
        try:
            site.env.bind(state.name, states.get(state.name, Missing.POISONED), VARIABLE, state.span)
        except Fault as fault:
            elaboration.report(fault, site)
    return result


def _turns(elaboration: Elaboration, statement: ast.For, states: dict[str, Any], site: Site) -> Flow:
    rows = _rows(elaboration, statement, site)
    incoming: Flow = site.incoming
    for number in range(len(rows)) if rows is not None else ():
        turn = _turn(elaboration, statement, rows, number, site.after(incoming))
        if turn is None or not _enter(elaboration, statement, states, turn):
            rows = None
            break
        with elaboration.entered(turn) as inside:
            incoming = elaboration.body(elaboration, statement.body, inside)
        states.update({name: given.value for name, given in turn.env.handed.items() if given is not None})
    if rows is not None:
        return incoming
    states.update(dict.fromkeys(states, Missing.POISONED))
    return Missing.UNKNOWN


def branches(elaboration: Elaboration, turns: ast.Turns, site: Site) -> list[Flow] | None:
    """Elaborate a branch once for every element of a list, each from the same tensor; None after a mistake that is reported."""
    rows = _rows(elaboration, turns, site)
    made: list[Flow] = []
    for number in range(len(rows)) if rows is not None else ():
        turn = _turn(elaboration, turns, rows, number, site)
        if turn is None:
            return None
        with elaboration.entered(turn) as inside:
            made.append(elaboration.body(elaboration, turns.body, inside))
    return made if rows is not None else None


def _rows(elaboration: Elaboration, loop: ast.For | ast.Turns, site: Site) -> tuple[Any, ...] | None:
    """Evaluate the list that a loop iterates over; None after a mistake, which is reported."""
    rows = evaluated(elaboration, loop.values, site)
    if rows is Missing.POISONED:
        return None
    if not isinstance(rows, tuple):
        elaboration.report(values.wrong_kind("what a loop goes over", "a list", describe(rows)), site, loop.values.span)
        return None
    elaboration.step(site, loop.span, len(rows))
    return rows


def _turn(elaboration: Elaboration, loop: ast.For | ast.Turns, rows: tuple[Any, ...] | None, number: int, site: Site) -> Site | None:
    """Return the place of one turn, its names bound; None after a mistake, which is reported."""
    assert rows is not None
    turn = site.nested().inside(f"turn {number + 1} of {len(rows)}", loop.span)
    try:
        unpack(loop.pattern, rows[number], turn.env)
    except Fault as fault:
        elaboration.report(placed(fault, loop, number, len(rows), site.env), site)
        return None
    return turn


# ---- state


def _first_states(elaboration: Elaboration, statement: ast.For, site: Site) -> dict[str, Any]:
    """Evaluate the states of the first turn, by name."""
    states: dict[str, Any] = {}
    for state in statement.states:
        if state.name == "in":
            elaboration.report(names.reserved("in", "it is the current tensor, which every turn passes on"), site, state.span)
        elif state.name in states:
            elaboration.report(names.defined_twice("a state", state.name), site, state.span)
        else:
            states[state.name] = evaluated(elaboration, state.value, site)
    return states


def _enter(elaboration: Elaboration, statement: ast.For, states: dict[str, Any], turn: Site) -> bool:
    """Bind the states in a turn. Return whether their names differ from those that the loop itself binds."""
    turn.env.handed = dict.fromkeys(states)
    for state in statement.states:
        try:
            if (bound := turn.env.own(state.name)) is None or bound.kind != STATE:
                turn.env.bind(state.name, states.get(state.name, Missing.POISONED), STATE, state.span)
        except Fault as fault:
            elaboration.report(fault, turn)
            return False
    return True


def hand_on(elaboration: Elaboration, statement: ast.Next, site: Site) -> None:
    """Carry out `next NAME = value`: keep the value for the next turn."""
    value = evaluated(elaboration, statement.value, site)
    turn = site.env.turn_of(statement.name)
    if turn is None:
        elaboration.report(says.no_state(statement.name, _states_around(site.env)), site, statement.span)
        return
    before = turn.handed[statement.name]
    if before is not None:
        related = [Related(before.span, "the first is here")] if before.span != statement.span else []
        elaboration.report(says.handed_on_twice(statement.name).at(statement.span, related=related), site)
        return
    turn.handed[statement.name] = BoundArgument(value, statement.span, Workings(statement.value, site, value).added_to)


def _states_around(env: Environment) -> list[str]:
    """List the states of the enclosing loops, from the innermost outwards, up to the block."""
    found: list[str] = []
    for each, _ in env.outward():
        found.extend(each.handed)
        if each.reader:
            break
    return found
