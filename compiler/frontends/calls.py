"""Modules that are called several times: each call is a scope of its own, and all have the weights of one shared part.

A source has one path for all calls of `tower`, and the operators of the second call have the keys of the first. Here they are those of
scopes `tower1`, `tower2`, where all calls compute the same; the engine writes `share tower { ... }` for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archc.compiler.frontends.item import Item
from archc.compiler.frontends.naming import outer

Calls = list[list[int]]  # the numbers of the items of each call, in order


def calls_apart(live: Sequence[int], items: Sequence[Item], names: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    """Return the name and the key of each item in a shared part, and of what such a part has between its calls, by number.

    `names` are those that the items have otherwise; `live` are their numbers in order.
    """
    uses: dict[str, list[int]] = {}
    for number in live:
        if items[number].key:
            uses.setdefault(items[number].key, []).append(number)
    often = [key for key, numbers in uses.items() if len(numbers) > 1]
    found: dict[int, tuple[str, str]] = {}
    taken = {path for name in (*names.values(), *uses) for path in (name, *outer(name))}
    parts = {path for key in often for path in outer(key)}
    for part in sorted(parts, key=lambda path: (path.count("."), path)):
        counts = {len(numbers) for key, numbers in uses.items() if key.startswith(f"{part}.")}
        inside = [number for number in live if names[number].startswith(f"{part}.")]
        if len(counts) != 1 or not part.rpartition(".")[2].isidentifier() or any(number in found for number in inside):
            continue
        calls = next((calls for greedy in (False, True) if (calls := _calls(live, items, uses, inside, greedy))), None)
        if calls is not None:
            found |= _named(part, calls, inside, items, names, taken)
    return found


def _calls(
    live: Sequence[int], items: Sequence[Item], uses: Mapping[str, Sequence[int]], inside: Sequence[int], greedy: bool
) -> Calls | None:
    """Return the items of each call of a part; None where its calls do not compute the same.

    What has no weights is in the call whose results it takes; where it takes those of several, in the last of them if `greedy`, which
    is right for a part that is called with its own results, else in none.
    """
    within, call = set(inside), dict[int, int]()
    users: dict[int, list[int]] = {}
    for number in live:
        for operand in items[number].operands:
            users.setdefault(operand, []).append(number)
    for number in inside:
        if items[number].key:
            call[number] = uses[items[number].key].index(number)
            continue
        before = {call[operand] for operand in items[number].operands if operand in call}
        if len(before) == 1 or (before and greedy):
            call[number] = max(before)
    for number in reversed(inside):
        after = {call.get(user, -1) for user in users.get(number, ())}
        if number not in call and len(after) == 1 and -1 not in after:
            call[number] = after.pop()
    calls: Calls = [[] for _ in range(1 + max(call.values(), default=-1))]
    for number in inside:
        if number in call:
            calls[call[number]].append(number)
    forms = [_form(numbers, items, users) for numbers in calls]
    return calls if within and len(calls) > 1 and forms[0] is not None and all(form == forms[0] for form in forms) else None


def _form(numbers: Sequence[int], items: Sequence[Item], users: Mapping[int, Sequence[int]]) -> object:
    """Return what a call computes, as a value that is equal for calls of one part; None where it has not one result."""
    place = {number: at for at, number in enumerate(numbers)}
    others: dict[int, int] = {}
    form = []
    for number in numbers:
        item = items[number]
        operands = [place[operand] if operand in place else -1 - others.setdefault(operand, len(others)) for operand in item.operands]
        form.append((item.op, dict(item.attrs), item.key, operands))
    results = [at for number, at in place.items() if any(user not in place for user in users.get(number, ()))]
    ends = [at for number, at in place.items() if not users.get(number)]  # an output of the network
    return (form, results, len(others)) if len(results) + len(ends) == 1 else None


def _named(
    part: str, calls: Calls, inside: Sequence[int], items: Sequence[Item], names: Mapping[int, str], taken: set[str]
) -> dict[int, tuple[str, str]]:
    """Return names and keys of the items of calls, and those of items between them, which are put beside the part."""
    found: dict[int, tuple[str, str]] = {}
    around = f"{part.rpartition('.')[0]}.".removeprefix(".")
    rest = [names[number][len(part) :] for number in calls[0]]
    for count, numbers in enumerate(calls, 1):
        scope = next(name for mark in ("", "_call", "_call_", "_call__") if (name := f"{part}{mark}{count}") not in taken)
        taken.add(scope)
        found |= {number: (f"{scope}{label}", f"{part}{label}") for number, label in zip(numbers, rest, strict=True)}
    for number in inside:
        if number not in found:
            count = 1
            while (name := f"{around}{items[number].op}{count}") in taken:
                count += 1
            taken.add(name)
            found[number] = (name, name)
    return found
