"""The verbs of the command line, one function each: it parses arguments, calls, prints, and ends with an exit code."""
