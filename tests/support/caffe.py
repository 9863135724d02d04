"""Caffe's networks as `.prototxt` texts, written from the tables of their papers with the names and rules of Caffe."""

from __future__ import annotations

from collections.abc import Sequence


def head(name: str, *shape: int) -> str:
    sizes = " ".join(f"dim: {size}" for size in (10, *shape))
    return f'name: "{name}"\nlayer {{ name: "data" type: "Input" top: "data" input_param {{ shape: {{ {sizes} }} }} }}\n'


def old_head(name: str, *shape: int) -> str:
    return f'name: "{name}"\ninput: "data"\n' + "".join(f"input_dim: {size}\n" for size in (10, *shape))


def layer(kind: str, name: str, bottom: str | Sequence[str], top: str = "", param: str = "", **settings: object) -> str:
    bottoms = " ".join(f'bottom: "{each}"' for each in ([bottom] if isinstance(bottom, str) else bottom))
    inside = " ".join(f"{key}: {value}" for key, value in settings.items())
    block = f" {param}_param {{ {inside} }}" if param else ""
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{top or name}"{block} }}\n'


def conv(name: str, bottom: str, out: int, kernel: int, **settings: object) -> str:
    return layer("Convolution", name, bottom, param="convolution", num_output=out, kernel_size=kernel, **settings)


def pool(name: str, bottom: str, kernel: int, stride: int, kind: str = "MAX", **settings: object) -> str:
    return layer("Pooling", name, bottom, param="pooling", pool=kind, kernel_size=kernel, stride=stride, **settings)


def relu(name: str, blob: str) -> str:
    return layer("ReLU", name, blob, blob)


def fc(name: str, bottom: str, out: int) -> str:
    return layer("InnerProduct", name, bottom, param="inner_product", num_output=out)


def lenet() -> str:
    text = [head("LeNet", 1, 28, 28), conv("conv1", "data", 20, 5, stride=1), pool("pool1", "conv1", 2, 2), conv("conv2", "pool1", 50, 5)]
    text += [pool("pool2", "conv2", 2, 2), fc("ip1", "pool2", 500), relu("relu1", "ip1"), fc("ip2", "ip1", 10)]
    return "".join([*text, layer("Softmax", "prob", "ip2")])


def alexnet(reference: bool = False) -> str:
    """Krizhevsky et al. 2012; CaffeNet, the reference model, pools before it normalizes."""
    text = [old_head("CaffeNet" if reference else "AlexNet", 3, 227, 227)]
    blob = "data"
    in_halves = {"pad": 1, "group": 2}
    layers = ((96, 11, {"stride": 4}), (256, 5, {"pad": 2, "group": 2}), (384, 3, {"pad": 1}), (384, 3, in_halves), (256, 3, in_halves))
    for number, (out, kernel, settings) in enumerate(layers, 1):
        text += [conv(f"conv{number}", blob, out, kernel, **settings), relu(f"relu{number}", f"conv{number}")]
        blob = f"conv{number}"
        if number <= 2:
            order = ("pool", "norm") if reference else ("norm", "pool")
            for kind in order:
                name = f"{kind}{number}"
                text.append(
                    pool(name, blob, 3, 2)
                    if kind == "pool"
                    else layer("LRN", name, blob, param="lrn", local_size=5, alpha=0.0001, beta=0.75)
                )
                blob = name
    text.append(pool("pool5", "conv5", 3, 2))
    blob = "pool5"
    for number in (6, 7):
        text += [fc(f"fc{number}", blob, 4096), relu(f"relu{number}", f"fc{number}")]
        text.append(layer("Dropout", f"drop{number}", f"fc{number}", f"fc{number}", param="dropout", dropout_ratio=0.5))
        blob = f"fc{number}"
    return "".join([*text, fc("fc8", "fc7", 1000), layer("Softmax", "prob", "fc8")])


def vgg16() -> str:
    """Simonyan & Zisserman 2015, configuration D, in the notation of 2014, which the authors published."""
    text, blob = [old_head("VGG_ILSVRC_16_layers", 3, 224, 224)], "data"
    for stage, (out, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for number in range(1, count + 1):
            name = f"conv{stage}_{number}"
            param = f"convolution_param {{ num_output: {out} pad: 1 kernel_size: 3 }}"
            text.append(f'layers {{ bottom: "{blob}" top: "{name}" name: "{name}" type: CONVOLUTION {param} }}\n')
            text.append(f'layers {{ bottom: "{name}" top: "{name}" name: "relu{stage}_{number}" type: RELU }}\n')
            blob = name
        param = "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"
        text.append(f'layers {{ bottom: "{blob}" top: "pool{stage}" name: "pool{stage}" type: POOLING {param} }}\n')
        blob = f"pool{stage}"
    for number, out in ((6, 4096), (7, 4096), (8, 1000)):
        name, param = f"fc{number}", f"inner_product_param {{ num_output: {out} }}"
        text.append(f'layers {{ bottom: "{blob}" top: "{name}" name: "{name}" type: INNER_PRODUCT {param} }}\n')
        if number < 8:
            text.append(f'layers {{ bottom: "{name}" top: "{name}" name: "relu{number}" type: RELU }}\n')
            text.append(
                f'layers {{ bottom: "{name}" top: "{name}" name: "drop{number}" type: DROPOUT dropout_param {{ dropout_ratio: 0.5 }} }}\n'
            )
        blob = name
    return "".join([*text, 'layers { bottom: "fc8" top: "prob" name: "prob" type: SOFTMAX }\n'])


INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64), "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip


def googlenet() -> str:
    """Szegedy et al. 2015, table 1, without the heads of training."""
    lrn = {"local_size": 5, "alpha": 0.0001, "beta": 0.75}
    text = [head("GoogleNet", 3, 224, 224), conv("conv1/7x7_s2", "data", 64, 7, pad=3, stride=2), relu("conv1/relu_7x7", "conv1/7x7_s2")]
    text += [pool("pool1/3x3_s2", "conv1/7x7_s2", 3, 2), layer("LRN", "pool1/norm1", "pool1/3x3_s2", param="lrn", **lrn)]
    text += [conv("conv2/3x3_reduce", "pool1/norm1", 64, 1), relu("conv2/relu_3x3_reduce", "conv2/3x3_reduce")]
    text += [conv("conv2/3x3", "conv2/3x3_reduce", 192, 3, pad=1), relu("conv2/relu_3x3", "conv2/3x3")]
    text += [layer("LRN", "conv2/norm2", "conv2/3x3", param="lrn", **lrn), pool("pool2/3x3_s2", "conv2/norm2", 3, 2)]
    blob = "pool2/3x3_s2"
    for name, (one, before3, three, before5, five, after) in INCEPTION.items():
        at = f"inception_{name}"
        for part, bottom, out, kernel, pad in (
            ("1x1", blob, one, 1, 0),
            ("3x3_reduce", blob, before3, 1, 0),
            ("3x3", f"{at}/3x3_reduce", three, 3, 1),
            ("5x5_reduce", blob, before5, 1, 0),
            ("5x5", f"{at}/5x5_reduce", five, 5, 2),
        ):
            text += [conv(f"{at}/{part}", bottom, out, kernel, pad=pad), relu(f"{at}/relu_{part}", f"{at}/{part}")]
        text += [pool(f"{at}/pool", blob, 3, 1, pad=1), conv(f"{at}/pool_proj", f"{at}/pool", after, 1)]
        text += [relu(f"{at}/relu_pool_proj", f"{at}/pool_proj")]
        text.append(layer("Concat", f"{at}/output", [f"{at}/{part}" for part in ("1x1", "3x3", "5x5", "pool_proj")]))
        blob = f"{at}/output"
        if name in ("3b", "4e"):
            text.append(pool(f"pool{int(name[0])}/3x3_s2", blob, 3, 2))
            blob = f"pool{int(name[0])}/3x3_s2"
    text.append(pool("pool5/7x7_s1", blob, 7, 1, "AVE"))
    text.append(layer("Dropout", "pool5/drop_7x7_s1", "pool5/7x7_s1", "pool5/7x7_s1", param="dropout", dropout_ratio=0.4))
    return "".join([*text, fc("loss3/classifier", "pool5/7x7_s1", 1000), layer("Softmax", "prob", "loss3/classifier")])


def _normalized(number: str, blob: str, out: int, kernel: int, active: bool = True, **settings: object) -> list[str]:
    name = f"res{number}"
    text = [conv(name, blob, out, kernel, bias_term="false", **settings)]
    text += [layer("BatchNorm", f"bn{number}", name, name, param="batch_norm", use_global_stats="true")]
    text += [layer("Scale", f"scale{number}", name, name, param="scale", bias_term="true")]
    return [*text, *([relu(f"res{number}_relu", name)] if active else [])]


def resnet50() -> str:
    """He et al. 2016, table 1, with the stride in the first convolution of a unit."""
    text = [head("ResNet-50", 3, 224, 224), conv("conv1", "data", 64, 7, pad=3, stride=2, bias_term="false")]
    text += [
        layer("BatchNorm", "bn_conv1", "conv1", "conv1", param="batch_norm"),
        layer("Scale", "scale_conv1", "conv1", "conv1", param="scale", bias_term="true"),
    ]
    text += [relu("conv1_relu", "conv1"), pool("pool1", "conv1", 3, 2)]
    blob = "pool1"
    for stage, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 2):
        for place in range(count):
            at, stride = f"{stage}{chr(97 + place)}", 2 if place == 0 and stage > 2 else 1
            shortcut = blob
            if place == 0:
                text += _normalized(f"{at}_branch1", blob, 4 * width, 1, active=False, stride=stride)
                shortcut = f"res{at}_branch1"
            text += _normalized(f"{at}_branch2a", blob, width, 1, stride=stride)
            text += _normalized(f"{at}_branch2b", f"res{at}_branch2a", width, 3, pad=1)
            text += _normalized(f"{at}_branch2c", f"res{at}_branch2b", 4 * width, 1, active=False)
            text += [layer("Eltwise", f"res{at}", [shortcut, f"res{at}_branch2c"]), relu(f"res{at}_relu", f"res{at}")]
            blob = f"res{at}"
    text += [pool("pool5", blob, 7, 1, "AVE"), fc("fc1000", "pool5", 1000)]
    return "".join([*text, layer("Softmax", "prob", "fc1000")])
