"""Dimension algebra: sizes that are numbers or formulas, sliding windows, and the conditions for legal sizes."""
