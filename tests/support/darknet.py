"""Darknet's networks as `.cfg` texts, written from the tables of their papers."""

from __future__ import annotations

from collections.abc import Sequence


def _section(kind: str, **settings: object) -> str:
    return "\n".join([f"[{kind}]", *(f"{name}={value}" for name, value in settings.items())]) + "\n"


def _conv(filters: int, size: int, stride: int = 1) -> str:
    return _section("convolutional", batch_normalize=1, filters=filters, size=size, stride=stride, pad=1, activation="leaky")


def _unit(filters: int) -> str:
    return _conv(filters // 2, 1) + _conv(filters, 3) + _section("shortcut", **{"from": -3, "activation": "linear"})


def _body() -> list[str]:
    """Darknet-53, table 1 of Redmon & Farhadi 2018, arXiv:1804.02767, without its head."""
    parts = [_conv(32, 3)]
    for filters, count in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        parts += [_conv(filters, 3, 2), *(_unit(filters) for _ in range(count))]
    return parts


def darknet53() -> str:
    head = _section("avgpool") + _section("convolutional", filters=1000, size=1, stride=1, pad=1, activation="linear")
    return _section("net", height=256, width=256, channels=3) + "".join(_body()) + head + _section("softmax", groups=1)


def _predictions(classes: int) -> str:
    return _section("convolutional", size=1, stride=1, pad=1, filters=3 * (classes + 5), activation="linear")


def yolov3(size: int = 416, classes: int = 80) -> str:
    """Redmon & Farhadi 2018, arXiv:1804.02767, section 2.3: three scales, with anchors of three sizes at each."""
    text = [_section("net", batch=64, subdivisions=16, width=size, height=size, channels=3, learning_rate=0.001), *_body()]
    for filters, mask, skip in ((512, "6,7,8", 61), (256, "3,4,5", 36), (128, "0,1,2", None)):
        text += [(_conv(filters, 1) + _conv(2 * filters, 3)) * 3]
        text += [_predictions(classes), _section("yolo", mask=mask, classes=classes, num=9)]
        if skip is not None:
            text += [
                _section("route", layers=-4),
                _conv(filters // 2, 1),
                _section("upsample", stride=2),
                _section("route", layers=f"-1, {skip}"),
            ]
    return "".join(text)


def yolov3_tiny(classes: int = 80) -> str:
    """The small form that the authors publish beside it: maxima in place of strides, and two scales."""
    text = [_section("net", width=416, height=416, channels=3)]
    for filters in (16, 32, 64, 128, 256):
        text += [_conv(filters, 3), _section("maxpool", size=2, stride=2)]
    text += [_conv(512, 3), _section("maxpool", size=2, stride=1), _conv(1024, 3), _conv(256, 1), _conv(512, 3)]
    text += [_predictions(classes), _section("yolo", mask="3,4,5"), _section("route", layers=-4), _conv(128, 1)]
    text += [_section("upsample", stride=2), _section("route", layers="-1, 8"), _conv(256, 3), _predictions(classes), _section("yolo")]
    return "".join(text)


def small(kinds: Sequence[str] = ("leaky", "mish", "logistic")) -> str:
    """A network of a few layers with every kind of section that has values."""
    text = [_section("net", width=15, height=13, channels=4)]
    text += [_section("convolutional", batch_normalize=1, filters=8, size=3, stride=1, pad=1, groups=2, activation=kinds[0])]
    text += [_section("maxpool", size=3, stride=1), _section("maxpool", size=2, stride=2), _conv(8, 3)]
    text += [_section("route", layers=-1, groups=2, group_id=1), _section("upsample", stride=2), _section("maxpool", size=2, stride=1)]
    text += [_section("convolutional", filters=6, size=5, stride=2, padding=1, activation=kinds[1])]
    text += [_section("route", layers="-1,-1"), _section("connected", output=7, activation=kinds[2]), _section("dropout", probability=0.3)]
    return "".join([*text, _section("softmax")])
