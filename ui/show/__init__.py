"""Output of reports: text, tables, colors, and the formats of other tools."""
