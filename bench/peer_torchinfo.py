"""Print what torchvision and torchinfo report on ResNet-152 on the meta device, as JSON: the peer of `archc check --json`."""

from __future__ import annotations

import json

import torch
from torchinfo import summary


def main() -> None:
    # torchvision's wheel registers operators that a CPU build of torch lacks; that call is disabled during the import.
    register = torch.library.register_fake
    torch.library.register_fake = lambda *args, **kwargs: lambda function: function  # type: ignore[assignment]
    from torchvision.models import resnet152

    torch.library.register_fake = register
    with torch.device("meta"):
        network = resnet152()
    report = summary(network, input_size=(1, 3, 224, 224), device="meta", verbose=0)
    shapes = [layer.output_size[1:] for layer in report.summary_list]
    print(json.dumps({"params": report.total_params, "macs": report.total_mult_adds, "shapes": shapes}))


if __name__ == "__main__":
    main()
