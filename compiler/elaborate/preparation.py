"""Facts about preprocessing: the options of an `input` line, which are data and compute nothing."""

from __future__ import annotations

from typing import Any

from archc.compiler.elaborate.arithmetic import describe
from archc.compiler.elaborate.evaluate import chosen, value
from archc.compiler.elaborate.scopes import Missing
from archc.compiler.elaborate.site import Site
from archc.compiler.ops.kinds import NONE, Word, show
from archc.compiler.shapes.dim import Shape, show_shape
from archc.dsl import ast
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import names, values

OPTIONS = ("resize", "interpolation", "crop", "mean", "std", "labels")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "area")

Facts = dict[str, Any]  # by option: numbers, lists of numbers, words as text


def read(args: tuple[ast.Arg, ...], shape: Shape, fixed: bool, site: Site) -> Facts:
    """Read the options of an input with a shape, in the order of OPTIONS. Raises Fault, with a place.

    Unless the size is `fixed` by the file, since the caller asks for another one, `crop` is that other size, and images are resized in the
    same proportion to it.
    """
    facts: Facts = {}
    for arg in args:
        name = arg.name or ""
        if name not in OPTIONS:
            raise Fault(_unknown(arg))
        if name in facts:
            raise Fault(names.given_twice("input", name).at(arg.span))
        try:
            held = _value(name, arg.value, site)
            facts[name] = held if held is Missing.POISONED else _checked(name, held, shape, fixed)
        except Fault as fault:
            raise fault.at(arg.value.span) from None
    if Missing.POISONED in facts.values():
        return {}
    resize, crop = (_sides(facts[name], len(shape) - 1) if facts.get(name) else [] for name in ("resize", "crop"))
    for sides in zip(resize, crop, strict=False):
        if sides[0] < sides[1]:
            place = next(arg.value.span for arg in args if arg.name == "crop")
            raise Fault(values.wrong_kind("`crop`", f"at most {sides[0]}, to which the image is resized", str(sides[1])).at(place))
    if crop and not fixed:
        _follow(facts, crop, shape)
    return {name: facts[name] for name in OPTIONS if facts.get(name) is not None}


def _follow(facts: Facts, crop: list[int], shape: Shape) -> None:
    """Change `crop` to the size of an input, where it is known, and `resize` in proportion: the same part of an image is seen."""
    sizes = [size for size in shape[1:] if isinstance(size, int)]
    if len(sizes) != len(crop) or sizes == crop:
        return
    facts["crop"] = sizes[0] if len(set(sizes)) == 1 else sizes
    if resize := facts.get("resize"):
        sides = resize if isinstance(resize, list) else [resize]
        scaled = [max(size, round(side * size / old)) for side, size, old in zip(sides, sizes, crop, strict=False)]
        facts["resize"] = scaled if isinstance(resize, list) else scaled[0]


def _unknown(arg: ast.Arg) -> Any:
    if arg.name is None:
        return names.option_without_name("input", OPTIONS, help="write `resize=256` or `crop=224`").at(arg.span)
    return names.unknown_option("input", arg.name, OPTIONS).at(arg.name_span)


def _value(name: str, expr: ast.Expr, site: Site) -> Any:
    """Evaluate an option. A bare name that is not a variable is a word."""
    side = chosen(expr, site)
    if isinstance(side, Missing):
        return side
    bare = ast.bare(side)
    if name in ("interpolation", "labels") and bare and (bare in INTERPOLATIONS or site.env.value(bare) is None):
        return Word(bare)
    return value(side, site)


def _checked(name: str, held: Any, shape: Shape, fixed: bool) -> Any:
    """Return the value of an option as plain data. Raises Fault, without a place."""
    if held == NONE:
        return None
    if name in ("interpolation", "labels"):
        if not isinstance(held, Word) or held.args:
            raise Fault(values.wrong_kind(f"`{name}`", "a word", describe(held)))
        if name == "interpolation" and held.text not in INTERPOLATIONS:
            raise Fault(values.not_a_choice(name, f"`{held}`", INTERPOLATIONS))
        return held.text
    if name in ("mean", "std"):
        return _by_channel(name, held, shape)
    sides = held if isinstance(held, tuple) else (held,)
    axes = len(shape) - 1
    if not all(_is_number(side) and isinstance(side, int) and side > 0 for side in sides) or len(sides) not in (1, axes):
        raise Fault(values.wrong_kind(f"`{name}`", f"a size in pixels, or a list of {axes}", describe(held)))
    if name == "crop" and fixed:
        for side, size in zip(_sides(held, axes), shape[1:], strict=True):
            if isinstance(size, int) and side != size:
                raise Fault(values.wrong_kind("`crop`", f"the size of the input, {show_shape(shape[1:])}", show(held)))
    return list(held) if isinstance(held, tuple) else held


def _by_channel(name: str, held: Any, shape: Shape) -> list[float]:
    """Return a number for each channel. Raises Fault, without a place."""
    channels = shape[0]
    what = f"a list of {channels} numbers, one for each channel of {show_shape(shape)}"
    if not isinstance(held, tuple) or not all(map(_is_number, held)):
        raise Fault(values.wrong_kind(f"`{name}`", what, describe(held)))
    if isinstance(channels, int) and len(held) != channels:
        raise Fault(values.wrong_kind(f"`{name}`", what, f"{show(held)}, of {len(held)}"))
    if name == "std" and not all(number > 0 for number in held):
        raise Fault(values.wrong_kind("`std`", "positive, since values are divided by it", show(held)))
    return [float(number) for number in held]


def _is_number(held: Any) -> bool:
    return isinstance(held, (int, float)) and not isinstance(held, bool)


def _sides(held: Any, axes: int) -> list[int]:
    """Return the size of each axis, where an option states it."""
    listed = list(held) if isinstance(held, (tuple, list)) else [held]
    return listed * axes if len(listed) == 1 else listed
