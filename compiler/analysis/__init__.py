"""Analyses: they read the graph and change nothing. Counts, memory, receptive fields, claims and warnings."""
