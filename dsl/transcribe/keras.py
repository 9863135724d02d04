"""The layers of Keras, and their equivalent items."""

from __future__ import annotations

from collections.abc import Callable

from archc.dsl.transcribe.layers import (
    Arguments,
    Formula,
    Layer,
    Untranslatable,
    Value,
    Written,
    item,
    long,
    never,
    pool,
    python,
    short,
    sizes,
    unless,
)

_ACTIVATIONS = ("relu", "relu6", "sigmoid", "tanh", "softmax", "softplus", "silu", "elu", "gelu", "log_softmax", "selu", "softsign", "mish")
GLOROT = "Keras initializes weights by Glorot's rule; `init=xavier_uniform, bias_init=constant(value=0.0)` does the same here"


def _activation(value: Value) -> str | None:
    """Return the item of an activation given by name; None for none."""
    if value is None or value == "linear":
        return None
    if value == "swish":
        return "silu"
    if value == "hard_sigmoid" or value == "leaky_relu":
        raise Untranslatable(f"`{value}` has different constants in Keras")
    if value not in _ACTIVATIONS:
        raise Untranslatable(f"the activation `{python(value)}` has no counterpart")
    return str(value)


def _pad(a: Arguments, kernel: str, stride: str) -> Value:
    """Return the padding that matches Keras's; None for none."""
    if a["padding"] == "valid":
        return None
    a.only("padding", "same")
    windows, steps = sizes(a[kernel]), sizes(a[stride])
    if all(size == 1 for size in windows):
        return None
    if any(step != 1 for step in steps):
        raise Untranslatable(
            f"`padding='same'` with stride {short(a[stride])} pads only what the size needs, and more at the end than at the start",
            "`pad(h=[0, 1], w=[0, 1])` before a 3x3 kernel with stride 2 does the same for even sizes; `pad=same` pads both sides equally",
        )
    if any(size % 2 == 0 for size in windows):
        raise Untranslatable("`padding='same'` of an even kernel pads one more at the end than at the start")
    return "same"


def _conv(a: Arguments) -> Written:
    options = {"pad": _pad(a, "kernel_size", "strides"), "dilation": unless(a["dilation_rate"], 1), "groups": unless(a["groups"], 1)}
    act = _activation(a["activation"])
    return item("conv", a["kernel_size"], a["filters"], a["strides"], **options, bias=unless(a["use_bias"], True), act=act), (GLOROT,)


def _depthwise(a: Arguments) -> Written:
    a.only("depth_multiplier", 1)
    options = {"pad": _pad(a, "kernel_size", "strides"), "dilation": unless(a["dilation_rate"], 1)}
    bias, act = unless(a["use_bias"], True), _activation(a["activation"])
    return item("conv", a["kernel_size"], Formula("in.c"), a["strides"], **options, groups=Formula("in.c"), bias=bias, act=act), (GLOROT,)


def _separable(a: Arguments) -> Written:
    a.only("depth_multiplier", 1)
    options = {"pad": _pad(a, "kernel_size", "strides"), "dilation": unless(a["dilation_rate"], 1)}
    first = item("conv", a["kernel_size"], Formula("in.c"), a["strides"], **options, groups=Formula("in.c"), bias=False)
    return f"{first}; {item('conv', 1, a['filters'], bias=unless(a['use_bias'], True), act=_activation(a['activation']))}", (GLOROT,)


def _convt(a: Arguments) -> Written:
    a.only("output_padding", None)
    pad: Value = None
    windows, steps = sizes(a["kernel_size"]), sizes(a["strides"])
    gaps = [size - (steps[0] if len(steps) == 1 else step) for size, step in zip(windows, steps * len(windows), strict=False)]
    if a["padding"] == "same":
        if any(gap < 0 or gap % 2 for gap in gaps):
            raise Untranslatable("`padding='same'` crops more at one end than at the other here")
        pad = unless(tuple(gap // 2 for gap in gaps), 0)
    elif any(gap < 0 for gap in gaps):
        raise Untranslatable("a stride larger than the kernel makes a larger map in Keras")
    options = {"pad": pad, "dilation": unless(a["dilation_rate"], 1), "bias": unless(a["use_bias"], True)}
    return item("convt", a["kernel_size"], a["filters"], a["strides"], **options, act=_activation(a["activation"])), (GLOROT,)


def _pool(name: str) -> Callable[[Arguments], Written]:
    def write(a: Arguments) -> Written:
        stride = a["pool_size"] if a["strides"] is None else a["strides"]
        if a["padding"] == "same" and name == "maxpool" and set(sizes(a["pool_size"])) == set(sizes(stride)) == {2}:
            return "maxpool2(ceil=yes)", ()
        if a["padding"] == "same" and name == "avgpool":
            raise Untranslatable(
                "`padding='same'` averages without the padding, as `count_pad=no` does, but the padding depends on the size"
            )
        pad = _pad(Arguments({**a.values, "strides": stride}), "pool_size", "strides")
        return pool(name, a["pool_size"], stride, pad=pad), ()

    return write


def _global(name: str) -> Callable[[Arguments], Written]:
    def write(a: Arguments) -> Written:
        a.only("keepdims", True, False)
        return (name if a["keepdims"] else f"{name}; flatten"), ()

    return write


def _bn(a: Arguments) -> Written:
    if a["center"] != a["scale"]:
        raise Untranslatable("`bn` has both a scale and a shift, or neither")
    momentum = a["momentum"]
    if not isinstance(momentum, (int, float)):
        raise Untranslatable("`momentum` is not known here")
    affine = unless(a["center"], True)
    a.only("axis", -1, 1, 2, 3, 4)
    return item("bn", eps=unless(a["epsilon"], 1e-5), momentum=unless(round(1 - momentum, 9), 0.1), affine=affine), ()


def _softmax(a: Arguments) -> Written:
    a.only("axis", -1)
    return "softmax", ()


def _relu(a: Arguments) -> Written:
    a.only("threshold", 0, 0.0)
    if a["max_value"] in (6, 6.0) and not a["negative_slope"]:
        return "relu6", ()
    a.only("max_value", None)
    return (f"leaky_relu({long(a['negative_slope'])})" if a["negative_slope"] else "relu"), ()


def _padding(a: Arguments) -> Written:
    pad = a["padding"]
    if not isinstance(pad, tuple):
        return item("pad", h=pad, w=pad), ()
    height, width = (pad[0], pad[1]) if len(pad) == 2 else (None, None)
    return item("pad", h=height, w=width), ()


def _upsampling(a: Arguments) -> Written:
    a.only("interpolation", "nearest", "bilinear")
    return item("upsample", a["size"], mode=unless(a["interpolation"], "nearest")), ()


def _input(a: Arguments) -> Written:
    shape = a["shape"] if a["shape"] is not None else a.extra.get("shape", a.extra.get("input_shape"))
    return f"input {a.channels_first(shape)}", ("shapes are channels x height x width here",)


_CONV = "filters kernel_size strides=1 padding='valid' data_format=None dilation_rate=1 groups=1 activation=None use_bias=True"
_DEPTHWISE = "kernel_size strides=1 padding='valid' depth_multiplier=1 data_format=None dilation_rate=1 activation=None use_bias=True"
_SEPARABLE = (
    "filters kernel_size strides=1 padding='valid' data_format=None dilation_rate=1 depth_multiplier=1 activation=None use_bias=True"
)
_CONVT = "filters kernel_size strides=1 padding='valid' output_padding=None data_format=None dilation_rate=1 activation=None use_bias=True"
_BN = "axis=-1 momentum=0.99 epsilon=0.001 center=True scale=True"
_ABSENT = (
    *(
        "LSTM",
        "GRU",
        "SimpleRNN",
        "Embedding",
        "MultiHeadAttention",
        "Attention",
        "LayerNormalization",
        "Lambda",
        "Reshape",
        "Rescaling",
    ),
    *("Permute", "RepeatVector", "Bidirectional", "TimeDistributed", "GaussianNoise", "SpatialDropout2D"),
)
_JOINING = {
    "Add": "add",
    "Concatenate": "concat",
    "Multiply": "mul",
    "Average": "mean",
    "Maximum": "max",
    "Minimum": "min",
    "Subtract": "sub",
    "Dot": "matmul",
}


def _dims(name: str, layer: Layer) -> dict[str, Layer]:
    return {f"{name}{axes}D": layer for axes in (1, 2, 3)}


LAYERS: dict[str, Layer] = {
    **_dims("Conv", Layer(_CONV, _conv)),
    **_dims("DepthwiseConv", Layer(_DEPTHWISE, _depthwise)),
    **_dims("SeparableConv", Layer(_SEPARABLE, _separable)),
    **{f"Conv{axes}DTranspose": Layer(_CONVT, _convt) for axes in (1, 2, 3)},
    **_dims("MaxPooling", Layer("pool_size=2 strides=None padding='valid'", _pool("maxpool"))),
    **_dims("MaxPool", Layer("pool_size=2 strides=None padding='valid'", _pool("maxpool"))),
    **_dims("AveragePooling", Layer("pool_size=2 strides=None padding='valid'", _pool("avgpool"))),
    **_dims("GlobalAveragePooling", Layer("data_format=None keepdims=False", _global("adaptive_avgpool1"))),
    **_dims("GlobalMaxPooling", Layer("data_format=None keepdims=False", _global("adaptive_maxpool1"))),
    "Dense": Layer(
        "units activation=None use_bias=True",
        lambda a: (item("fc", None, a["units"], bias=unless(a["use_bias"], True), act=_activation(a["activation"])), (GLOROT,)),
    ),
    "BatchNormalization": Layer(_BN, _bn),
    "Dropout": Layer("rate", lambda a: (f"dropout({long(a['rate'])})", ())),
    "Activation": Layer("activation", lambda a: (_activation(a["activation"]) or ".", ())),
    "ReLU": Layer("max_value=None negative_slope=0.0 threshold=0.0", _relu),
    "LeakyReLU": Layer("negative_slope=0.3", lambda a: (f"leaky_relu({long(a['negative_slope'])})", ())),
    "ELU": Layer("alpha=1.0", lambda a: (item("elu", alpha=unless(a["alpha"], 1.0)), ())),
    "Softmax": Layer("axis=-1", _softmax),
    "Flatten": Layer("data_format=None", lambda a: ("flatten", ())),
    "UpSampling2D": Layer("size=2 data_format=None interpolation='nearest'", _upsampling),
    "ZeroPadding2D": Layer("padding=1", _padding),
    "Input": Layer("shape=None", _input),
    "InputLayer": Layer("shape=None", _input),
    **{name: never(f"it joins tensors: write `{merge}<a | b>`") for name, merge in _JOINING.items()},
    **{name: never(f"no item does what `{name}` does") for name in _ABSENT},
}
