"""LOWERED PROGRAM -> ONNX: the one package that imports onnx. It needs numpy, and no torch.

`write` writes the file, `model` makes the model from the steps of a program, `rules` say how each target is written as operators of
ONNX, and `building` is what a rule is given. `shapes` computes the shapes of helper values, `weights` carries out recipes.
"""
