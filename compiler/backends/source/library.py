"""What PyTorch's modules and functions are called with: the arguments that are written first and without a name, and the defaults.

PyTorch itself is not imported; `tests/back/test_source.py` compares these tables with its signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Signature:
    """How a call is written: the arguments without a name, and the values of others that are left out."""

    first: tuple[str, ...] = ()
    defaults: Mapping[str, Any] | None = None


_CONV = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True, "padding_mode": "zeros"}
_CONVT = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "bias": True, "dilation": 1, "padding_mode": "zeros"}
_NORM = {"eps": 1e-5, "momentum": 0.1, "affine": True}
_MAX = {"padding": 0, "dilation": 1, "ceil_mode": False}
_AVG = {"padding": 0, "ceil_mode": False, "count_include_pad": True}
_RECURRENT = {"num_layers": 1, "bias": True, "dropout": 0.0, "bidirectional": False}
_CHANNELS = ("in_channels", "out_channels")
_AXES = (1, 2, 3)

MODULES: Mapping[str, Signature] = {
    **{f"nn.Conv{axes}d": Signature(_CHANNELS, _CONV) for axes in _AXES},
    **{f"nn.ConvTranspose{axes}d": Signature(_CHANNELS, _CONVT) for axes in _AXES},
    **{f"nn.BatchNorm{axes}d": Signature(("num_features",), _NORM) for axes in _AXES},
    **{f"nn.InstanceNorm{axes}d": Signature(("num_features",), {"eps": 1e-5, "affine": False}) for axes in _AXES},
    **{f"nn.MaxPool{axes}d": Signature((), _MAX) for axes in _AXES},
    **{f"nn.AvgPool{axes}d": Signature((), _AVG) for axes in _AXES},
    **{f"nn.AdaptiveAvgPool{axes}d": Signature(("output_size",)) for axes in _AXES},
    **{f"nn.AdaptiveMaxPool{axes}d": Signature(("output_size",)) for axes in _AXES},
    "nn.Linear": Signature(("in_features", "out_features"), {"bias": True}),
    "nn.GroupNorm": Signature(("num_groups", "num_channels"), {"eps": 1e-5, "affine": True}),
    "nn.LayerNorm": Signature(("normalized_shape",), {"eps": 1e-5, "elementwise_affine": True}),
    "nn.Dropout": Signature(("p",)),
    "nn.Dropout1d": Signature(("p",)),
    "nn.Dropout2d": Signature(("p",)),
    "nn.Dropout3d": Signature(("p",)),
    "nn.Upsample": Signature((), {"size": None, "scale_factor": None, "mode": "nearest", "align_corners": None}),
    "nn.LeakyReLU": Signature(("negative_slope",)),
    "nn.ELU": Signature((), {"alpha": 1.0}),
    "nn.GELU": Signature((), {"approximate": "none"}),
    "nn.PReLU": Signature((), {"num_parameters": 1, "init": 0.25}),
    "nn.Softplus": Signature((), {"beta": 1.0, "threshold": 20.0}),
    "nn.Softmax": Signature(),
    "nn.ChannelShuffle": Signature(("groups",)),
    "nn.PixelShuffle": Signature(("upscale_factor",)),
    "nn.PixelUnshuffle": Signature(("downscale_factor",)),
    # classes of archc, whose text is part of the file
    "archc.ChannelLinear": Signature(("in_features", "out_features"), {"bias": True}),
    "archc.ChannelNorm": Signature(("normalized_shape",), {"eps": 1e-5, "elementwise_affine": True}),
    "archc.ChannelRMSNorm": Signature(("normalized_shape",), {"elementwise_affine": True}),
    "archc.GlobalResponseNorm": Signature(("num_channels",), {"eps": 1e-6}),
    "archc.Embedding": Signature(("num_embeddings", "embedding_dim")),
    "archc.Gelu": Signature((), {"approximate": "none"}),
    "nn.LocalResponseNorm": Signature(("size",), {"alpha": 1e-4, "beta": 0.75, "k": 1.0}),
    "archc.MultiheadAttention": Signature(
        ("embed_dim", "num_heads"), {"dropout": 0.0, "bias": True, "kdim": None, "vdim": None, "causal": False}
    ),
    "archc.SelfAttention": Signature(("embed_dim", "num_heads"), {"dropout": 0.0, "bias": True}),
    "archc.StochasticDepth": Signature(("p", "mode")),
    "archc.Gru": Signature((), _RECURRENT),
    "archc.Lstm": Signature((), _RECURRENT),
    **{f"archc.{kind}Conv{axes}d": Signature((), _CONV) for kind in ("Spectral", "Standardized", "Scaled") for axes in _AXES},
    **{f"archc.SpectralConvTranspose{axes}d": Signature((), _CONVT) for axes in _AXES},
    "archc.SpectralLinear": Signature((), {"bias": True}),
}


@dataclass(frozen=True)
class Function:
    """The function that computes what a module without tensors does. `first` are arguments without a name, `trains` one that it gets."""

    name: str
    first: tuple[str, ...] = ()
    defaults: Mapping[str, Any] | None = None
    trains: bool = False


FUNCTIONS: Mapping[str, Function] = {
    "nn.ReLU": Function("F.relu"),
    "nn.ReLU6": Function("F.relu6"),
    "nn.SiLU": Function("F.silu"),
    "nn.Mish": Function("F.mish"),
    "nn.Sigmoid": Function("torch.sigmoid"),
    "nn.Tanh": Function("torch.tanh"),
    "nn.Hardswish": Function("F.hardswish"),
    "nn.Hardsigmoid": Function("F.hardsigmoid"),
    "nn.SELU": Function("F.selu"),
    "nn.LeakyReLU": Function("F.leaky_relu", ("negative_slope",)),
    "nn.ELU": Function("F.elu", (), {"alpha": 1.0}),
    "nn.GELU": Function("F.gelu", (), {"approximate": "none"}),
    "nn.Softmax": Function("F.softmax"),
    "nn.LogSoftmax": Function("F.log_softmax"),
    "nn.Dropout": Function("F.dropout", ("p",), None, True),
    "nn.Upsample": Function("F.interpolate", (), MODULES["nn.Upsample"].defaults),
    "nn.PixelShuffle": Function("F.pixel_shuffle", ("upscale_factor",)),
    "nn.PixelUnshuffle": Function("F.pixel_unshuffle", ("downscale_factor",)),
    **{f"nn.MaxPool{axes}d": Function(f"F.max_pool{axes}d", (), _MAX) for axes in _AXES},
    **{f"nn.AvgPool{axes}d": Function(f"F.avg_pool{axes}d", (), _AVG) for axes in _AXES},
    **{f"nn.AdaptiveAvgPool{axes}d": Function(f"F.adaptive_avg_pool{axes}d", ("output_size",)) for axes in _AXES},
    **{f"nn.AdaptiveMaxPool{axes}d": Function(f"F.adaptive_max_pool{axes}d", ("output_size",)) for axes in _AXES},
    "nn.LocalResponseNorm": Function("F.local_response_norm", ("size",), MODULES["nn.LocalResponseNorm"].defaults),
}
BY_FUNCTION: Mapping[str, Function] = {function.name: function for function in FUNCTIONS.values()}

# The option of the language that sets an argument, where their names differ.
OPTIONS: Mapping[str, str] = {
    "out_channels": "out",
    "out_features": "out",
    "hidden_size": "out",
    "kernel_size": "kernel",
    "padding": "pad",
    "num_heads": "heads",
    "embedding_dim": "width",
    "num_embeddings": "count",
    "num_groups": "groups",
    "num_layers": "layers",
    "ceil_mode": "ceil",
    "output_size": "out",
    "negative_slope": "slope",
    "scale_factor": "scale",
}

# The names of arguments that targets give by position, after those that are written without one.
POSITIONS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    **{f"torch.{name}": (1, ("dim", "keepdim")) for name in ("mean", "sum", "amax", "amin")},
    "torch.linalg.vector_norm": (1, ("ord", "dim", "keepdim")),
    "torch.roll": (1, ("shifts", "dims")),
    "torch.flip": (1, ("dims",)),
}


def canonical(target: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a module as people write them: one number for equal sizes, and no stride that a pool has anyway."""
    if "kdim" in settings and settings["kdim"] == settings["vdim"] == settings["embed_dim"]:
        return {name: value for name, value in settings.items() if name not in ("kdim", "vdim")}
    if not target.startswith("nn.") and not target.startswith(("archc.Spectral", "archc.Standardized", "archc.Scaled")):
        return dict(settings)
    plain = {name: _single(value) for name, value in settings.items()}
    if (".MaxPool" in target or ".AvgPool" in target) and plain.get("stride") == plain.get("kernel_size"):
        plain.pop("stride", None)
    return plain


def _single(value: Any) -> Any:
    if isinstance(value, tuple | list) and value and all(item == value[0] for item in value) and isinstance(value[0], int):
        return value[0]
    return value
