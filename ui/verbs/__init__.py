"""The verbs of the command line: a function each that parses arguments, calls the library, prints, and sets the exit code."""
