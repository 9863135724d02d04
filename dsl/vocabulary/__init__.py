"""The vocabulary of errors: a function for each mistake, its docstring the page that `archc explain CODE` prints."""

from archc.dsl.vocabulary import claims, files, names, shapes, syntax, values, warnings

__all__ = ["claims", "files", "names", "shapes", "syntax", "values", "warnings"]
