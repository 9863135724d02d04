"""Read ONNX files as data: the one package of front ends that imports onnx."""
