"""Results of the library: a module for each kind, with its plain data, its text and its HTML table."""
