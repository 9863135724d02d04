"""Labels that are refused are those that torch's modules need for themselves."""

from __future__ import annotations

from torch import fx, nn

from archc import loads
from archc.compiler.backends.torch.blocks import NumberedScope, Scope
from archc.compiler.elaborate.reserved import MODULE_NAMES


def test_reserved_labels_are_those_of_torch() -> None:
    made = loads("input 3x4x4\na: { conv1-3 } x2\nb: [ conv1-3; relu; residual<conv1-3>; conv1-3 ]\nc: { conv1-3; relu }\n").lower()
    modules = (*made.modules(), nn.ModuleList(), fx.GraphModule(nn.Module(), fx.Graph()), Scope("", ""), NumberedScope("", ""))
    own = {name for part in made.modules() for name, _ in part.named_children()}
    taken = {name for module in modules for name in dir(module) if name not in own and not isinstance(module, (nn.Conv2d, nn.ReLU))}
    assert {name for name in taken if not name.startswith("_")} <= MODULE_NAMES
