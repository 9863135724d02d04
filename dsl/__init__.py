"""TEXT -> TREE: the grammar, the tree, the diagnostics and the formatter. Imports nothing of the compiler."""
