"""Repairs: changes to the text that may fix an error, each tried on the whole file before it is offered."""
