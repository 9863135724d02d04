"""The vocabulary of other frameworks, and the equivalents in the language."""

from __future__ import annotations

# Lower-case operator names of PyTorch, Keras, Caffe, ONNX and Darknet -> their equivalents in the language.
OPERATORS: dict[str, str] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution", "convolution2d", "convolutional", "convlayer"), "conv"),
    **dict.fromkeys(("convtranspose1d", "convtranspose2d", "convtranspose3d", "conv1dtranspose", "conv2dtranspose"), "convt"),
    **dict.fromkeys(("deconv", "deconvolution", "transposedconv", "convtranspose"), "convt"),
    **dict.fromkeys(("dense", "linear", "innerproduct", "gemm", "fullyconnected", "fully_connected"), "fc"),
    **dict.fromkeys(
        ("batchnorm", "batchnorm1d", "batchnorm2d", "batchnorm3d", "batchnormalization", "batch_norm", "batchnormalisation"), "bn"
    ),
    **dict.fromkeys(("maxpool1d", "maxpool2d", "maxpool3d", "maxpooling", "maxpooling1d", "maxpooling2d", "max_pool"), "maxpool"),
    **dict.fromkeys(
        ("avgpool1d", "avgpool2d", "avgpool3d", "averagepool", "averagepooling2d", "avgpooling", "avg_pool", "meanpool"), "avgpool"
    ),
    **dict.fromkeys(
        ("globalaveragepooling2d", "globalavgpool", "globalaveragepool", "global_avg_pool", "gap", "globalavgpool2d"), "adaptive_avgpool1"
    ),
    **dict.fromkeys(("globalmaxpooling2d", "globalmaxpool"), "adaptive_maxpool1"),
    **dict.fromkeys(("adaptiveavgpool1d", "adaptiveavgpool2d", "adaptiveavgpool3d"), "adaptive_avgpool"),
    **dict.fromkeys(("adaptivemaxpool1d", "adaptivemaxpool2d"), "adaptive_maxpool"),
    **dict.fromkeys(("localresponsenorm", "localresponsenormalization", "local_response_norm"), "lrn"),
    **dict.fromkeys(("groupnorm", "groupnormalization"), "group_norm"),
    **dict.fromkeys(("instancenorm", "instancenorm1d", "instancenorm2d", "instancenorm3d", "instancenormalization"), "instance_norm"),
    **dict.fromkeys(("rmsnorm", "rmsnormalization"), "rms_norm"),
    **dict.fromkeys(("l2norm", "l2_normalize", "l2normalize", "unitnormalization"), "l2_norm"),
    **dict.fromkeys(("upsampling2d", "resize", "interpolate", "upsample2d"), "upsample"),
    **dict.fromkeys(("zeropadding2d", "zeropad2d", "padding", "pads"), "pad"),
    **dict.fromkeys(("concatenate", "cat", "route"), "concat"),
    **dict.fromkeys(("shortcut", "skip", "skip_connection", "residualblock"), "residual"),
    **dict.fromkeys(("multiply", "gate"), "mul"),
    **dict.fromkeys(("subtract", "minus"), "sub"),
    **dict.fromkeys(("divide", "quotient"), "div"),
    **dict.fromkeys(("average",), "mean"),
    **dict.fromkeys(("maximum", "eltwise_max"), "max"),
    **dict.fromkeys(("minimum",), "min"),
    **dict.fromkeys(("negative", "negate"), "neg"),
    **dict.fromkeys(("absolute",), "abs"),
    **dict.fromkeys(("power",), "pow"),
    **dict.fromkeys(("clip",), "clamp"),
    **dict.fromkeys(("bmm", "batch_matmul", "batchmatmul"), "matmul"),
    **dict.fromkeys(("reducemean",), "reduce_mean"),
    **dict.fromkeys(("reducesum",), "reduce_sum"),
    **dict.fromkeys(("reducemax", "amax"), "reduce_max"),
    **dict.fromkeys(("reducemin", "amin"), "reduce_min"),
    **dict.fromkeys(("reducel2",), "reduce_norm"),
    **dict.fromkeys(("randn", "randn_like", "gaussian"), "normal_noise"),
    **dict.fromkeys(("drop",), "dropout"),
    **dict.fromkeys(("droppath", "drop_path"), "stochastic_depth"),
    **dict.fromkeys(("swish",), "silu"),
    **dict.fromkeys(("hswish", "h_swish", "hard_swish"), "hardswish"),
    **dict.fromkeys(("hsigmoid", "hard_sigmoid"), "hardsigmoid"),
    **dict.fromkeys(("leakyrelu", "lrelu", "leaky"), "leaky_relu"),
    **dict.fromkeys(("logsoftmax",), "log_softmax"),
    **dict.fromkeys(("log_sigmoid",), "logsigmoid"),
    **dict.fromkeys(("hard_tanh",), "hardtanh"),
    **dict.fromkeys(("hard_shrink",), "hardshrink"),
    **dict.fromkeys(("soft_shrink",), "softshrink"),
    **dict.fromkeys(("tanh_shrink",), "tanhshrink"),
    **dict.fromkeys(("soft_sign",), "softsign"),
    **dict.fromkeys(("channelshuffle", "shuffle"), "channel_shuffle"),
    **dict.fromkeys(("pixelshuffle", "pixelshuffle2d"), "pixel_shuffle"),
    **dict.fromkeys(("pixelunshuffle", "pixel_unshuffle"), "space_to_depth"),
    **dict.fromkeys(("identity", "noop"), "."),
    **dict.fromkeys(("multiheadattention", "mha", "self_attention", "multi_head_attention"), "multihead_attention"),
    **dict.fromkeys(("scaled_dot_product_attention", "sdpa"), "attention"),
    **dict.fromkeys(("embed",), "embedding"),
    **dict.fromkeys(("parameter",), "learned"),
    **dict.fromkeys(("cropping2d", "centercrop", "center_crop"), "crop"),
}

OPTIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("kernel_size", "ksize", "filter_size", "pool_size", "size", "window", "k"), ("kernel", "size")),
    **dict.fromkeys(("filters", "units", "out_channels", "out_features", "num_output", "channels", "features", "nout", "width"), ("out",)),
    **dict.fromkeys(("strides", "subsample", "s"), ("stride",)),
    **dict.fromkeys(("padding", "pads", "p"), ("pad",)),
    **dict.fromkeys(("rate", "prob", "drop_prob", "dropout_rate", "ratio"), ("p",)),
    **dict.fromkeys(("use_bias", "bias_term"), ("bias",)),
    **dict.fromkeys(("dilation_rate", "dilations", "atrous_rate"), ("dilation",)),
    **dict.fromkeys(("group", "num_groups"), ("groups",)),
    **dict.fromkeys(("activation", "nonlinearity", "activation_fn"), ("act",)),
    **dict.fromkeys(("normalization", "norm_layer", "batch_norm"), ("norm",)),
    **dict.fromkeys(("ceil_mode",), ("ceil",)),
    **dict.fromkeys(("count_include_pad",), ("count_pad",)),
    **dict.fromkeys(("scale_factor", "scale"), ("scale",)),
    **dict.fromkeys(("epsilon",), ("eps",)),
    **dict.fromkeys(("negative_slope",), ("slope",)),
    **dict.fromkeys(("dim", "axes"), ("axis",)),
    **dict.fromkeys(("kernel_initializer", "weight_init", "weight_filler", "initializer"), ("init",)),
    **dict.fromkeys(("bias_initializer", "bias_filler"), ("bias_init",)),
}

NEEDLESS = {
    **dict.fromkeys(("in_channels", "in_features", "input_dim", "num_features", "num_channels", "c1"), "the incoming tensor determines it"),
    **dict.fromkeys(("inplace",), "the lowering decides it"),
    **dict.fromkeys(("name",), "a name is written before the item, as a label: `stem: conv3-64`"),
    **dict.fromkeys(("input_shape",), "the input has its own line: `input 3x224x224`"),
    **dict.fromkeys(("bottom", "top"), "items take the tensor before them; `@name` takes another"),
}

PADDING = {"valid": "0", "full": "a number"}  # Keras's words for `pad`


def operator(word: str) -> str:
    """Return the equivalent in the language of an operator of another framework, or ""."""
    return OPERATORS.get(word.lower(), "")


def options(word: str, known: list[str]) -> list[str]:
    """Return which of the known options may be the equivalents of an option of another framework."""
    return [option for option in OPTIONS.get(word.lower(), ()) if option in known]


def is_option(word: str) -> bool:
    """Return whether a word is an option of another framework."""
    return word.lower() in OPTIONS or word.lower() in NEEDLESS


# Common words that are not operators here, and the exact equivalent where there is one.
EXACT: dict[str, str] = {
    **dict.fromkeys(("channel_mean", "channel_avg"), "reduce_mean(axis=c)"),
    **dict.fromkeys(("channel_max",), "reduce_max(axis=c)"),
    "crelu": "concat<relu | neg; relu>",
    "quick_gelu": "mul<. | scale(1.702); sigmoid>",
}
# Operators that other frameworks call by the same word in lower case: the one that is meant.
BOTH = frozenset(
    (
        *("relu", "relu6", "sigmoid", "tanh", "silu", "hardswish", "hardsigmoid", "softplus", "softmax", "gelu", "elu", "prelu"),
        *("mish", "selu", "celu", "softsign", "softshrink", "hardshrink", "tanhshrink", "hardtanh", "threshold", "glu", "rrelu"),
        *("logsigmoid", "softmin", "dropout", "flatten", "upsample", "add", "input"),
    )
)
UNCLEAR = {  # words with several possible meanings
    "pool": "write which one: `maxpool3/2` or `avgpool3/2`",
    "sum": "write which one: `add<a | b>` adds branches, `reduce_sum(axis=c)` the values along an axis",
    "normalize": "write which one: `l2_norm` divides by the length, `layer_norm` and `bn` also subtract the mean",
    "gaussian_noise": "write it with its deviation: `add<. | normal_noise; scale(0.1)>`",
    "gaussiannoise": "write it with its deviation: `add<. | normal_noise; scale(0.1)>`",
    "mlp": "write its layers: `fc-256; relu; fc-10`",
    "positional_encoding": "trained positions are `add<. | learned>`",
    "patch_embed": "write its layers: `conv16-768/16; tokens`",
    "cls_token": "a class token is `concat(axis=w)<learned(1) | .>`",
    "bilstm": "it is an `lstm` in both directions: `lstm-256(bidirectional=yes)`",
    "spectral_norm": "it is an option of a layer: `conv3-64(weight=spectral)`",
    "depth_to_space": "`pixel_shuffle2` has the order of channels of PyTorch",
    "permute": "`transpose(c, w)` swaps two axes, and `rearrange` reorders any",
    **dict.fromkeys(("reshape", "view"), '`flatten`, `tokens` and `map` change the axes, and `rearrange("c h w -> c (h w)")` in any way'),
    **dict.fromkeys(("split", "chunk"), "a part is a slice: `slice(0, in.c//2)` and `slice(in.c//2, in.c)`"),
}
ABSENT = frozenset(
    (
        *("transformer", "encoder", "decoder", "rnn", "conv_lstm"),
        *("swiglu", "geglu", "maxout", "gelu_new", "minpool", "min_pool"),
        *("weight_norm", "lp_norm", "sync_bn", "adain"),
        *("unpool", "maxunpool2d"),
        *("einsum", "squeeze", "unsqueeze"),
        *(
            "lambda",
            "dropblock",
            "dropout1d",
            "dropout2d",
            "dropout3d",
            "spatialdropout2d",
            "alpha_dropout",
            "deform_conv",
            "lppool",
            "stochastic_pool",
            "roi_pool",
        ),
    )
)


# Names of published initializations in other frameworks.
INITS = {
    **dict.fromkeys(("kaiming_normal", "kaiming_normal_", "henormal", "msra"), "he_normal"),
    **dict.fromkeys(("kaiming_uniform", "kaiming_uniform_", "heuniform"), "he_uniform"),
    **dict.fromkeys(("glorot_normal", "glorotnormal", "xavier_normal_"), "xavier_normal"),
    **dict.fromkeys(("glorot_uniform", "glorotuniform", "xavier_uniform_"), "xavier_uniform"),
}
# Options with the opposite meaning of one here, and how to express them.
OPPOSITES = {
    "keep_prob": ("p", "it is the fraction that is dropped, 1 minus this"),
    "keep_rate": ("p", "it is the fraction that is dropped, 1 minus this"),
    "survival_prob": ("p", "it is the fraction that is dropped, 1 minus this"),
    "exclude_pad": ("count_pad", ""),
    "exclude_padding": ("count_pad", ""),
    "count_exclude_pad": ("count_pad", ""),
    "floor": ("ceil", ""),
    "floor_mode": ("ceil", ""),
}
NEGATIONS = ("no_", "not_", "no", "without_", "disable_", "exclude_", "skip_", "non_", "un")


def opposite(word: str, known: list[str]) -> tuple[str, str]:
    """Return the known option that an option is the opposite of, and how to express it; ("", "") if there is none."""
    here, how = OPPOSITES.get(word.lower(), ("", ""))
    for prefix in NEGATIONS:
        rest = word.lower().removeprefix(prefix)
        if not here and rest != word.lower() and len(rest) > 2:
            here = rest if rest in known else next(iter(options(rest, known)), "")
    return (here, how) if here in known and word not in known else ("", "")


def is_known(word: str) -> bool:
    """Return whether a word has an established meaning, so that it is not taken for a misspelling of another."""
    return bool(operator(word)) or is_option(word) or is_absent(word) or word in OPPOSITES or word in INITS


def is_absent(word: str) -> bool:
    """Return whether a word names something that the language does not have, however close another word is."""
    return word.lower() in ABSENT or word.lower() in EXACT
