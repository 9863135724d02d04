"""Text to tree: the grammar, the syntax tree, the diagnostics and the formatter. Imports nothing of the compiler."""
