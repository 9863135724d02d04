"""The layers of Caffe, and their equivalent items."""

from __future__ import annotations

from collections.abc import Callable

from archc.dsl.transcribe.layers import Untranslatable, Value, Written, item, long, pool, sizes, unless

Fields = dict[str, list[Value]]
START = "Caffe's fillers are left out: `init` and `bias_init` set the initialization"


def _first(fields: Fields, name: str, default: Value = None) -> Value:
    return fields.get(name, [default])[0]


def _param(fields: Fields, name: str) -> Fields:
    found = _first(fields, name, {})
    return found if isinstance(found, dict) else {}


def _by_axis(fields: Fields, name: str, default: Value, letters: str = "") -> Value:
    """Return `kernel_size: 3`, given once or once per axis, or `kernel_h: 1 kernel_w: 7`."""
    stem = letters or name
    if f"{stem}_h" in fields or f"{stem}_w" in fields:
        return (_first(fields, f"{stem}_h", default), _first(fields, f"{stem}_w", default))
    given = fields.get(name, [default])
    return tuple(given) if len(given) > 1 else given[0]


def _conv(name: str) -> Callable[[Fields], Written]:
    def write(fields: Fields) -> Written:
        param = _param(fields, "convolution_param")
        kernel, stride = _by_axis(param, "kernel_size", None, "kernel"), _by_axis(param, "stride", 1)
        if kernel is None or "num_output" not in param:
            raise Untranslatable("its `kernel_size` or `num_output` is missing")
        options = {
            "pad": unless(_by_axis(param, "pad", 0), 0),
            "dilation": unless(_by_axis(param, "dilation", 1), 1),
            "groups": unless(_first(param, "group", 1), 1),
            "bias": unless(_first(param, "bias_term", True), True),
        }
        notes = (START,) if "weight_filler" in param else ()
        return item(name, kernel, _first(param, "num_output"), stride, **options), notes

    return write


def _pool(fields: Fields) -> Written:
    param = _param(fields, "pooling_param")
    kind = str(_first(param, "pool", "MAX"))
    if kind not in ("MAX", "AVE"):
        raise Untranslatable(f"`pool: {kind}` has no counterpart")
    if _first(param, "global_pooling", False):
        return ("adaptive_maxpool1" if kind == "MAX" else "adaptive_avgpool1"), ()
    kernel, stride = _by_axis(param, "kernel_size", None, "kernel"), _by_axis(param, "stride", 1)
    if kernel is None:
        raise Untranslatable("its `kernel_size` is missing")
    if any(step > size for size, step in zip(sizes(kernel), sizes(stride), strict=False)):
        raise Untranslatable("with a stride larger than its kernel, a last window lies outside the map in Caffe")
    ceil = {"CEIL": True, "FLOOR": None, 0: True, 1: None}.get(_first(param, "round_mode", "CEIL"), True)
    text = pool("maxpool" if kind == "MAX" else "avgpool", kernel, stride, pad=unless(_by_axis(param, "pad", 0), 0), ceil=ceil)
    return text, ("Caffe rounds the sizes of pools up: `ceil=yes`",) if ceil else ()


def _fc(fields: Fields) -> Written:
    param = _param(fields, "inner_product_param")
    if "num_output" not in param:
        raise Untranslatable("its `num_output` is missing")
    notes = (START,) if "weight_filler" in param else ()
    return item("fc", None, _first(param, "num_output"), bias=unless(_first(param, "bias_term", True), True)), notes


def _relu(fields: Fields) -> Written:
    slope = _first(_param(fields, "relu_param"), "negative_slope", 0)
    return (f"leaky_relu({long(slope)})" if slope else "relu"), ()


def _lrn(fields: Fields) -> Written:
    param = _param(fields, "lrn_param")
    form = "spatial" if _first(param, "norm_region", "ACROSS_CHANNELS") == "WITHIN_CHANNEL" else None
    # Caffe's own defaults are size 5, alpha 1, beta 0.75, k 1.
    options = {"alpha": unless(_first(param, "alpha", 1.0), 1e-4), "beta": unless(_first(param, "beta", 0.75), 0.75)}
    return item("lrn", size=_first(param, "local_size", 5), **options, k=unless(_first(param, "k", 1.0), 1.0), form=form), ()


def _input(fields: Fields) -> Written:
    dims = _param(_param(fields, "input_param"), "shape").get("dim", [])
    if len(dims) < 2:
        raise Untranslatable("its shape is missing")
    return f"input {'x'.join(map(str, dims[1:]))}", ("the batch axis is not written",)


def _softmax(fields: Fields) -> Written:
    if _first(_param(fields, "softmax_param"), "axis", 1) != 1:
        raise Untranslatable("its `axis` is not the channel axis")
    return "softmax", ()


def _bn(fields: Fields) -> Written:
    eps = _first(_param(fields, "batch_norm_param"), "eps", 1e-5)
    return item("bn", eps=unless(eps, 1e-5), affine=False), ("if a `Scale` layer of Caffe follows, leave out that layer and `affine=no`",)


def _never(why: str) -> Callable[[Fields], Written]:
    def refuse(fields: Fields) -> Written:
        raise Untranslatable(why)

    return refuse


LAYERS: dict[str, Callable[[Fields], Written]] = {
    "convolution": _conv("conv"),
    "deconvolution": _conv("convt"),
    "pooling": _pool,
    "innerproduct": _fc,
    "inner_product": _fc,
    "relu": _relu,
    "sigmoid": lambda fields: ("sigmoid", ()),
    "tanh": lambda fields: ("tanh", ()),
    "softmax": _softmax,
    "flatten": lambda fields: ("flatten", ()),
    "lrn": _lrn,
    "dropout": lambda fields: (f"dropout({long(_first(_param(fields, 'dropout_param'), 'dropout_ratio', 0.5))})", ()),
    "batchnorm": _bn,
    "input": _input,
    "concat": _never("it joins tensors: write `concat<a | b>`"),
    "eltwise": _never("it joins tensors: write `add<a | b>`, `mul<a | b>` or `max<a | b>`"),
    "scale": _never("with the `BatchNorm` before it, it is one `bn`"),
    "softmaxwithloss": _never("a loss belongs to training, not to the network"),
    "accuracy": _never("a metric belongs to training, not to the network"),
    "data": _never("data belongs to training; the network begins with `input 3x227x227`"),
}
