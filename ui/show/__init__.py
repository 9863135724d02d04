"""What people and programs see of a report: text, tables, colours, and the formats of other tools."""
