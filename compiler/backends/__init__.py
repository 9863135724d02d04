"""GRAPH -> ARTIFACT. Backends are loaded by name when they are asked for; only they import torch."""
