"""Configurations of Keras 3, written as `model.to_json()` writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Config = dict[str, Any]


def layer(kind: str, name: str, *operands: str, module: str = "keras.layers", **config: Any) -> Config:
    """Return a layer that is called on the results of others."""
    tensors: list[Config] = [{"class_name": "__keras_tensor__", "config": {"keras_history": [each, 0, 0]}} for each in operands]
    arguments = [tensors] if len(tensors) > 1 else tensors
    nodes = [{"args": arguments, "kwargs": {}}] if operands else []
    return {"module": module, "class_name": kind, "config": {"name": name, **config}, "name": name, "inbound_nodes": nodes}


def source(name: str, *shape: int) -> Config:
    return layer("InputLayer", name, batch_shape=[None, *shape])


def functional(layers: Sequence[Config], inputs: Sequence[str], outputs: Sequence[str], name: str = "net") -> Config:
    ends = [[[each, 0, 0] for each in names] for names in (inputs, outputs)]
    config = {"name": name, "layers": list(layers), "input_layers": ends[0], "output_layers": ends[1]}
    return {"module": "keras", "class_name": "Functional", "config": config, "name": name}


def sequential(layers: Sequence[Config], name: str = "net") -> Config:
    return {"module": "keras", "class_name": "Sequential", "config": {"name": name, "layers": list(layers)}, "name": name}


def lenet() -> Config:
    """LeCun et al. 1998 as Keras' users write it, with maxima and ReLUs."""
    return sequential(
        [
            source("image", 28, 28, 1),
            layer("Conv2D", "c1", filters=6, kernel_size=[5, 5], padding="same", activation="relu"),
            layer("MaxPooling2D", "s2", pool_size=[2, 2], strides=[2, 2], padding="valid"),
            layer("Conv2D", "c3", filters=16, kernel_size=[5, 5], padding="valid", activation="relu"),
            layer("MaxPooling2D", "s4", pool_size=[2, 2], strides=[2, 2], padding="valid"),
            layer("Flatten", "flatten", data_format="channels_last"),
            layer("Dense", "c5", units=120, activation="relu"),
            layer("Dense", "f6", units=84, activation="relu"),
            layer("Dense", "output", units=10, activation="softmax"),
        ]
    )


def vgg16() -> Config:
    """Simonyan & Zisserman 2015, configuration D, with the names of keras.applications."""
    layers = [source("input_layer", 224, 224, 3)]
    last = "input_layer"
    for stage, (filters, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for number in range(1, count + 1):
            name = f"block{stage}_conv{number}"
            layers.append(layer("Conv2D", name, last, filters=filters, kernel_size=[3, 3], padding="same", activation="relu"))
            last = name
        layers.append(layer("MaxPooling2D", f"block{stage}_pool", last, pool_size=[2, 2], strides=[2, 2]))
        last = f"block{stage}_pool"
    layers.append(layer("Flatten", "flatten", last))
    last = "flatten"
    for name, units, activation in (("fc1", 4096, "relu"), ("fc2", 4096, "relu"), ("predictions", 1000, "softmax")):
        layers.append(layer("Dense", name, last, units=units, activation=activation))
        last = name
    return functional(layers, ["input_layer"], [last], "vgg16")


def resnet50() -> Config:
    """He et al. 2016, table 1, with the names of keras.applications, whose convolutions have biases."""
    layers = [source("input_layer", 224, 224, 3), layer("ZeroPadding2D", "conv1_pad", "input_layer", padding=[[3, 3], [3, 3]])]

    def conv(name: str, operand: str, filters: int, kernel: int, stride: int = 1, padding: str = "valid") -> str:
        sizes = {"kernel_size": [kernel] * 2, "strides": [stride] * 2}
        layers.append(layer("Conv2D", f"{name}_conv", operand, filters=filters, padding=padding, activation="linear", **sizes))
        layers.append(layer("BatchNormalization", f"{name}_bn", f"{name}_conv", axis=-1, epsilon=1.001e-5))
        return f"{name}_bn"

    def relu(name: str, operand: str) -> str:
        layers.append(layer("Activation", name, operand, activation="relu"))
        return name

    last = relu("conv1_relu", conv("conv1", "conv1_pad", 64, 7, 2))
    layers.append(layer("ZeroPadding2D", "pool1_pad", last, padding=[[1, 1], [1, 1]]))
    layers.append(layer("MaxPooling2D", "pool1_pool", "pool1_pad", pool_size=[3, 3], strides=[2, 2]))
    last = "pool1_pool"
    for stage, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 2):
        for place in range(1, count + 1):
            name, stride = f"conv{stage}_block{place}", 2 if place == 1 and stage > 2 else 1
            shortcut = conv(f"{name}_0", last, 4 * width, 1, stride) if place == 1 else last
            inner = relu(f"{name}_1_relu", conv(f"{name}_1", last, width, 1, stride))
            inner = relu(f"{name}_2_relu", conv(f"{name}_2", inner, width, 3, padding="same"))
            layers.append(layer("Add", f"{name}_add", shortcut, conv(f"{name}_3", inner, 4 * width, 1)))
            last = relu(f"{name}_out", f"{name}_add")
    layers.append(layer("GlobalAveragePooling2D", "avg_pool", last, keepdims=False))
    layers.append(layer("Dense", "predictions", "avg_pool", units=1000, activation="softmax"))
    return functional(layers, ["input_layer"], ["predictions"], "resnet50")


def shared(made: Config, *calls: Sequence[str]) -> Config:
    """Return a layer or a model that is called several times, each on results `name` or, of the call `n` of a layer, `name:n`."""

    def tensor(text: str) -> Config:
        name, _, call = text.partition(":")
        return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, int(call or 0), 0]}}

    arguments = [[tensor(each) for each in operands] for operands in calls]
    return {**made, "inbound_nodes": [{"args": [many if many[1:] else many[0]], "kwargs": {}} for many in arguments]}


def siamese() -> Config:
    """Two images through one tower and one projection, which are compared."""
    tower = functional(
        [
            source("image", 8, 8, 3),
            layer("Conv2D", "conv", "image", filters=4, kernel_size=[3, 3], activation="relu"),
            layer("BatchNormalization", "bn", "conv"),
        ],
        ["image"], ["bn"], "tower",
    )  # fmt: skip
    return functional(
        [
            source("left", 8, 8, 3),
            source("right", 8, 8, 3),
            shared(tower, ["left"], ["right"]),
            shared(layer("GlobalAveragePooling2D", "pool"), ["tower:0"], ["tower:1"]),
            shared(layer("Dense", "proj", units=5, activation="relu"), ["pool:0"], ["pool:1"]),
            shared(layer("Concatenate", "both"), ["proj:0", "proj:1"]),
            layer("Dense", "fc", "both", units=2),
        ],
        ["left", "right"], ["fc"],
    )  # fmt: skip
