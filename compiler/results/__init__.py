"""What the library returns: a module for each kind of result, with its plain data, its text, and its table for a page."""
