"""The layers of PyTorch, and their equivalent items."""

from __future__ import annotations

from collections.abc import Callable

from archc.dsl.transcribe.layers import (
    Arguments,
    Layer,
    Untranslatable,
    Written,
    as_it_is,
    item,
    long,
    never,
    pool,
    sizes,
    unless,
)


def _conv(a: Arguments) -> Written:
    pad = a["padding"]
    if pad == "same":
        if any(size % 2 == 0 for size in sizes(a["kernel_size"])):
            raise Untranslatable("`padding='same'` of an even kernel pads one more at the end than at the start")
    elif pad == "valid":
        pad = 0
    mode = unless(a["padding_mode"], "zeros")
    options = {"pad": unless(pad, 0), "dilation": unless(a["dilation"], 1), "groups": unless(a["groups"], 1)}
    return item("conv", a["kernel_size"], a["out_channels"], a["stride"], **options, bias=unless(a["bias"], True), pad_mode=mode), ()


def _linear(a: Arguments) -> Written:
    out = a["in_features"] if a["out_features"] is None else a["out_features"]
    return item("fc", None, out, bias=unless(a["bias"], True)), ()


def _convt(a: Arguments) -> Written:
    a.only("padding_mode", "zeros")
    options = {
        "pad": unless(a["padding"], 0),
        "out_pad": unless(a["output_padding"], 0),
        "dilation": unless(a["dilation"], 1),
        "groups": unless(a["groups"], 1),
        "bias": unless(a["bias"], True),
    }
    return item("convt", a["kernel_size"], a["out_channels"], a["stride"], **options), ()


def _pool(name: str) -> Callable[[Arguments], Written]:
    def write(a: Arguments) -> Written:
        options = {"pad": unless(a["padding"], 0), "ceil": unless(a["ceil_mode"], False)}
        if name == "maxpool":
            a.only("return_indices", False)
            options["dilation"] = unless(a["dilation"], 1)
        else:
            a.only("divisor_override", None)
            options["count_pad"] = unless(a["count_include_pad"], True)
        return pool(name, a["kernel_size"], a["stride"], **options), ()

    return write


def _bn(a: Arguments) -> Written:
    a.only("track_running_stats", True)
    a.only_not("momentum", None, "`momentum=None` averages over all batches, but `bn` keeps a running average")
    return item("bn", eps=unless(a["eps"], 1e-5), momentum=unless(a["momentum"], 0.1), affine=unless(a["affine"], True)), ()


def _instance(a: Arguments) -> Written:
    a.only("track_running_stats", False)
    return item("instance_norm", eps=unless(a["eps"], 1e-5), affine=unless(a["affine"], False)), ()


def _upsample(a: Arguments) -> Written:
    a.only("mode", "nearest", "linear", "bilinear", "bicubic")
    align = None if a["align_corners"] is None else unless(a["align_corners"], False)
    if a["size"] is not None:
        return item("upsample", size=a["size"], mode=unless(a["mode"], "nearest"), align_corners=align), ()
    scale = a["scale_factor"]
    scale = int(scale) if isinstance(scale, float) and scale == int(scale) else scale
    return item("upsample", scale, mode=unless(a["mode"], "nearest"), align_corners=align), ()


def _softmax(name: str) -> Callable[[Arguments], Written]:
    def write(a: Arguments) -> Written:
        a.only("dim", 1, -1, None, why="it runs over an axis other than the channels")
        return name, ()

    return write


def _plain(name: str) -> Layer:
    """Return a layer whose one argument, `inplace`, says nothing here."""
    return Layer("inplace=False", lambda a: (name, ()))


def _glu(a: Arguments) -> Written:
    a.only("dim", 1, why="it halves an axis other than the channels")
    return "glu", ()


def _softplus(a: Arguments) -> Written:
    a.only("beta", 1)
    a.only("threshold", 20)
    return "softplus", ()


def _flatten(a: Arguments) -> Written:
    a.only("start_dim", 1)
    a.only("end_dim", -1)
    return "flatten", ()


def _embedding(a: Arguments) -> Written:
    a.only("padding_idx", None)
    a.only("max_norm", None)
    a.only("scale_grad_by_freq", False)
    return item("embedding", count=a["num_embeddings"], width=a["embedding_dim"]), ()


def _attention(a: Arguments) -> Written:
    for name in ("kdim", "vdim"):
        a.only(name, None)
    for name in ("add_bias_kv", "add_zero_attn"):
        a.only(name, False)
    options = {"bias": unless(a["bias"], True), "dropout": unless(a["dropout"], 0.0)}
    return item("multihead_attention", heads=a["num_heads"], **options), ("of a tensor with itself; others are branches: `<q | k | v>`",)


def _padding(a: Arguments) -> Written:
    pad = a["padding"]
    if isinstance(pad, tuple) and len(pad) == 4:
        left, right, top, bottom = pad
        return item("pad", h=(top, bottom) if top != bottom else top, w=(left, right) if left != right else left), ()
    return item("pad", h=pad, w=pad), ()


_CONV = "in_channels out_channels kernel_size stride=1 padding=0 dilation=1 groups=1 bias=True padding_mode='zeros' device=None dtype=None"
_CONVT = "in_channels out_channels kernel_size stride=1 padding=0 output_padding=0 groups=1 bias=True dilation=1 padding_mode='zeros'"
_NORM = "num_features eps=1e-5 momentum=0.1 affine=True track_running_stats=True"
_MAXPOOL = "kernel_size stride=None padding=0 dilation=1 return_indices=False ceil_mode=False"
_MAXPOOL_OF_A_TENSOR = "kernel_size stride=None padding=0 dilation=1 ceil_mode=False return_indices=False"
_AVGPOOL = "kernel_size stride=None padding=0 ceil_mode=False count_include_pad=True divisor_override=None"
_ABSENT = ("RNN", "LSTM", "GRU", "Transformer", "TransformerEncoderLayer", "Unfold", "Fold", "Bilinear", "EmbeddingBag")


def _dims(name: str, layer: Layer) -> dict[str, Layer]:
    return {f"{name}{axes}d": layer for axes in (1, 2, 3)}


# Functions that take the tensor first: the equivalent layer, and the other parameters if they differ.
FUNCTIONS: dict[str, tuple[str, str]] = {
    "flatten": ("Flatten", "start_dim=0 end_dim=-1"),
    "relu": ("ReLU", ""),
    "relu6": ("ReLU6", ""),
    "sigmoid": ("Sigmoid", ""),
    "tanh": ("Tanh", ""),
    "silu": ("SiLU", ""),
    "gelu": ("GELU", ""),
    "elu": ("ELU", ""),
    "leaky_relu": ("LeakyReLU", ""),
    "hardswish": ("Hardswish", ""),
    "hardsigmoid": ("Hardsigmoid", ""),
    **{name: (layer, "") for name, layer in (("mish", "Mish"), ("selu", "SELU"), ("celu", "CELU"), ("softsign", "Softsign"))},
    **{name: (layer, "") for name, layer in (("tanhshrink", "Tanhshrink"), ("logsigmoid", "LogSigmoid"), ("glu", "GLU"))},
    **{name: (layer, "") for name, layer in (("softshrink", "Softshrink"), ("hardshrink", "Hardshrink"), ("hardtanh", "Hardtanh"))},
    "threshold": ("Threshold", ""),
    "softmin": ("Softmin", ""),
    "softmax": ("Softmax", ""),
    "log_softmax": ("LogSoftmax", ""),
    **{f"max_pool{axes}d": (f"MaxPool{axes}d", _MAXPOOL_OF_A_TENSOR) for axes in (1, 2, 3)},
    **{f"avg_pool{axes}d": (f"AvgPool{axes}d", "") for axes in (1, 2, 3)},
    **{f"adaptive_{kind}_pool{axes}d": (f"Adaptive{kind.title()}Pool{axes}d", "") for kind in ("max", "avg") for axes in (1, 2, 3)},
}
LAYERS: dict[str, Layer] = {
    **_dims("Conv", Layer(_CONV, _conv)),
    **_dims("ConvTranspose", Layer(_CONVT, _convt)),
    **_dims("BatchNorm", Layer(_NORM, _bn)),
    **_dims("InstanceNorm", Layer(_NORM.replace("True track_running_stats=True", "False track_running_stats=False"), _instance)),
    **_dims("MaxPool", Layer(_MAXPOOL, _pool("maxpool"))),
    **_dims("AvgPool", Layer(_AVGPOOL, _pool("avgpool"))),
    **_dims("AdaptiveAvgPool", Layer("output_size", lambda a: (item("adaptive_avgpool", a["output_size"]), ()))),
    **_dims("AdaptiveMaxPool", Layer("output_size", lambda a: (item("adaptive_maxpool", a["output_size"]), ()))),
    **_dims("Dropout", never("it drops whole channels, but `dropout` drops single values", "p=0.5 inplace=False")),
    "Linear": Layer("in_features out_features=None bias=True", _linear),
    "LazyLinear": Layer("in_features out_features=None bias=True", _linear),
    "Dropout": Layer("p=0.5 inplace=False", lambda a: (f"dropout({long(a['p'])})", ())),
    "ReLU": Layer("inplace=False", lambda a: ("relu", ())),
    "ReLU6": Layer("inplace=False", lambda a: ("relu6", ())),
    "Sigmoid": as_it_is("sigmoid"),
    "Tanh": as_it_is("tanh"),
    "SiLU": Layer("inplace=False", lambda a: ("silu", ())),
    "Hardswish": Layer("inplace=False", lambda a: ("hardswish", ())),
    "Hardsigmoid": Layer("inplace=False", lambda a: ("hardsigmoid", ())),
    "LeakyReLU": Layer(
        "negative_slope=0.01 inplace=False",
        lambda a: (f"leaky_relu({long(a['negative_slope'])})" if unless(a["negative_slope"], 0.01) is not None else "leaky_relu", ()),
    ),
    "ELU": Layer("alpha=1.0 inplace=False", lambda a: (item("elu", alpha=unless(a["alpha"], 1.0)), ())),
    "GELU": Layer("approximate='none'", lambda a: (item("gelu", approximate=unless(a["approximate"], "none")), ())),
    "PReLU": Layer(
        "num_parameters=1 init=0.25", lambda a: (item("prelu", slopes=unless(a["num_parameters"], 1), start=unless(a["init"], 0.25)), ())
    ),
    "Softplus": Layer("beta=1 threshold=20", _softplus),
    "Mish": _plain("mish"),
    "SELU": _plain("selu"),
    "CELU": Layer("alpha=1.0 inplace=False", lambda a: (item("celu", alpha=unless(a["alpha"], 1.0)), ())),
    "Softsign": as_it_is("softsign"),
    "Tanhshrink": as_it_is("tanhshrink"),
    "LogSigmoid": as_it_is("logsigmoid"),
    "Softshrink": Layer("lambd=0.5", lambda a: (item("softshrink", bound=unless(a["lambd"], 0.5)), ())),
    "Hardshrink": Layer("lambd=0.5", lambda a: (item("hardshrink", bound=unless(a["lambd"], 0.5)), ())),
    "Hardtanh": Layer(
        "min_val=-1.0 max_val=1.0 inplace=False",
        lambda a: (item("hardtanh", min=unless(a["min_val"], -1.0), max=unless(a["max_val"], 1.0)), ()),
    ),
    "Threshold": Layer("threshold value inplace=False", lambda a: (item("threshold", above=a["threshold"], value=a["value"]), ())),
    "RReLU": Layer(
        "lower=0.125 upper=0.3333333333333333 inplace=False",
        lambda a: (item("rrelu", lower=unless(a["lower"], 1 / 8), upper=unless(a["upper"], 1 / 3)), ()),
    ),
    "GLU": Layer("dim=-1", _glu),
    "Softmin": Layer("dim=None", _softmax("softmin")),
    "Softmax": Layer("dim=None", _softmax("softmax")),
    "LogSoftmax": Layer("dim=None", _softmax("log_softmax")),
    "GroupNorm": Layer(
        "num_groups num_channels eps=1e-5 affine=True",
        lambda a: (item("group_norm", groups=a["num_groups"], eps=unless(a["eps"], 1e-5), affine=unless(a["affine"], True)), ()),
    ),
    "LocalResponseNorm": Layer(
        "size alpha=0.0001 beta=0.75 k=1.0",
        lambda a: (item("lrn", size=a["size"], alpha=unless(a["alpha"], 1e-4), beta=unless(a["beta"], 0.75), k=unless(a["k"], 1.0)), ()),
    ),
    "Upsample": Layer("size=None scale_factor=None mode='nearest' align_corners=None", _upsample),
    "Flatten": Layer("start_dim=1 end_dim=-1", _flatten),
    "ZeroPad2d": Layer("padding", _padding),
    "Identity": as_it_is("."),
    "PixelShuffle": Layer("upscale_factor", lambda a: (item("pixel_shuffle", a["upscale_factor"]), ())),
    "PixelUnshuffle": Layer("downscale_factor", lambda a: (item("space_to_depth", a["downscale_factor"]), ())),
    "ChannelShuffle": Layer("groups", lambda a: (item("channel_shuffle", groups=a["groups"]), ())),
    "Embedding": Layer(
        "num_embeddings embedding_dim padding_idx=None max_norm=None norm_type=2.0 scale_grad_by_freq=False sparse=False", _embedding
    ),
    "MultiheadAttention": Layer(
        "embed_dim num_heads dropout=0.0 bias=True add_bias_kv=False add_zero_attn=False kdim=None vdim=None batch_first=False", _attention
    ),
    "LayerNorm": never(
        "it normalizes over the axes it is given; `layer_norm` normalizes over the channels, at every position",
        "normalized_shape eps=1e-5 elementwise_affine=True bias=True",
    ),
    "RMSNorm": never(
        "it normalizes over the axes it is given; `rms_norm` normalizes over the channels, at every position",
        "normalized_shape eps=None elementwise_affine=True",
    ),
    **{name: never(f"no item does what `{name}` does") for name in _ABSENT},
}
