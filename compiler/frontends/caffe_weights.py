"""Read the tensors of a `.caffemodel`: a NetParameter of caffe.proto, in protobuf's binary format.

The few fields that hold them are declared here, by the numbers of https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto;
protobuf skips the others.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from archc.compiler.files import read_regular
from archc.compiler.frontends.flat import CannotRead

MAX_BYTES = 2**31 - 1  # the limit of protobuf
MESSAGES = {  # message -> field, number, type, repeated
    "BlobShape": (("dim", 1, "int64", True),),
    "BlobProto": (("shape", 7, "BlobShape", False), ("data", 5, "float", True), ("double_data", 8, "double", True)),
    "LayerParameter": (("name", 1, "string", False), ("blobs", 7, "BlobProto", True)),
    "V1LayerParameter": (("name", 4, "string", False), ("blobs", 6, "BlobProto", True)),
    "NetParameter": (("layers", 2, "V1LayerParameter", True), ("layer", 100, "LayerParameter", True)),
}


@cache
def _net() -> Any:
    """Return the class of a NetParameter."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="archc_caffe.proto", package="archc_caffe", syntax="proto2")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for label, number, kind, repeated in fields:
            field = message.field.add(name=label, number=number, label=kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL)
            if kind in MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".archc_caffe.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("archc_caffe.NetParameter"))


def blobs(path: Path) -> dict[str, list[Any]]:
    """Return the blobs of each layer that has some, in order, as float32. Raises CannotRead for a file of another format."""
    import numpy as np
    from google.protobuf.message import DecodeError

    net = _net()()
    try:
        net.ParseFromString(read_regular(path, MAX_BYTES))
    except DecodeError:
        raise CannotRead(f"{path.name} is not a `.caffemodel`, or it is damaged") from None
    found: dict[str, list[Any]] = {}
    for layer in (*net.layers, *net.layer):
        if layer.blobs:
            found[layer.name] = [np.array(blob.data if len(blob.data) else blob.double_data, np.float32) for blob in layer.blobs]
    if not found:
        raise CannotRead(f"{path.name} holds no weights of layers")
    return found
