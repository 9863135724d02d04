"""torch.export -> GRAPH: with `backends/torch` the only package that imports torch."""
