"""Print a lowered program as text: its parts, its steps in their scopes, its outputs, and the recipes of changed weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from archc.compiler.lowering.program import FunctionCall, LoweredProgram, Part, Scope, Step, Trained, Value
from archc.compiler.passes.program import Own, WeightRecipe
from archc.compiler.shapes.dim import show_shape


def program_text(program: LoweredProgram) -> str:
    """Return a lowered program as text, for people: a part, a step or a recipe on each line.

    A part is `key: target(settings)` with its tensors, and `init` where a tensor is not initialized by its module. A step is
    `name = callee(arguments): shape`, without the batch; a scope is `path(operands) -> results`, with its steps indented.
    """
    lines = [f"program {program.name or 'network'}, {program.mode}, level {program.level}", "parts"]
    lines += [f"  {_part(part)}" for part in program.parts.values()]
    lines += ["steps", *_body(program.body, program, 1)]
    lines += ["outputs", *(f"  {name} = {step}" for name, step in program.outputs.items())]
    if program.recipes:
        lines += ["weights", *(f"  {key} = {_recipe(recipe)}" for key, recipe in program.recipes.items())]
    return "\n".join(lines) + "\n"


def _part(part: Part) -> str:
    tensors = [f"{name or 'tensor'} {show_shape(shape)}{_initial(part, name)}" for name, shape in part.weights.items()]
    tensors += [f"{name} {show_shape(shape) or 'scalar'} (buffer)" for name, shape in part.buffers.items()]
    text = f"{part.target}({_keywords(part.settings)})" if part.target else "a trained tensor"
    if tensors:
        text += f" with {', '.join(tensors)}"
    return f"{part.key}: {text}" + (", overwrites its operand" if part.overwrites else "")


def _initial(part: Part, name: str) -> str:
    fill = part.initial.get(name)
    if fill is None:
        return ""
    return f" init {fill.name}({_keywords(fill.settings)})" if fill.settings else f" init {fill.name}"


def _body(scope: Scope, program: LoweredProgram, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for item in scope.body:
        if isinstance(item, Step):
            yield f"{indent}{item.name} = {_callee(item)}: {show_shape(item.shape)}" + (" (training only)" if item.training_only else "")
        else:
            block = f" # {item.block}" if item.block else ""
            yield f"{indent}{item.path}({', '.join(item.takes)}) -> {', '.join(item.returns)}{block}"
            yield from _body(item, program, depth + 1)


def _callee(step: Step) -> str:
    if step.kind == "input":
        return "input"
    callee = f"[{step.key}]" if step.kind == "module" else step.target
    arguments = [_argument(value, step) for value in step.args] + [
        f"{name}={_argument(value, step)}" for name, value in step.kwargs.items()
    ]
    return f"{callee}({', '.join(arguments)})"


def _arguments(args: Sequence[Any], kwargs: Mapping[str, Any], step: Step) -> str:
    return ", ".join([*(_argument(arg, step) for arg in args), *(f"{name}={_argument(arg, step)}" for name, arg in kwargs.items())])


def _argument(value: Any, step: Step) -> str:
    match value:
        case Value(name):
            return name
        case Trained():
            return f"[{step.key}]"
        case FunctionCall(target, args, kwargs):
            return f"{target}({_arguments(args, kwargs, step)})"
        case list():
            return f"[{', '.join(_argument(item, step) for item in value)}]"
        case slice():
            return ":".join("" if part is None else str(part) for part in (value.start, value.stop)) + (
                f":{value.step}" if value.step else ""
            )
        case tuple():
            return f"({', '.join(_argument(item, step) for item in value)}{',' * (len(value) == 1)})"
    return str(value) if not isinstance(value, str) else repr(value)


def _keywords(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())


def _recipe(recipe: WeightRecipe) -> str:
    """Return a recipe as text, with the keys of the weights that it uses: `Folded(conv1, bn1, 1e-05)`."""
    if isinstance(recipe, Own):
        return recipe.key
    values = (getattr(recipe, part.name) for part in fields(recipe))
    return f"{type(recipe).__name__}({', '.join(_ingredient(value) for value in values)})"


def _ingredient(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_ingredient(item) for item in value)
    return _recipe(value) if isinstance(value, WeightRecipe) else str(value)
