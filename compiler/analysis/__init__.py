"""Reads the graph and changes nothing: counts, and the claims that rest on them."""
