"""Dimension algebra: sizes that are numbers or formulas, windows that slide over them, and when they are legal."""
