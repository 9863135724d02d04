"""TREE -> GRAPH: names, parameters, blocks, repeats and defaults; shapes are known as nodes enter the graph."""
