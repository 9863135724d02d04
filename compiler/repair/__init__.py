"""Repairs: changes to the text that may mend a mistake, each tried on the whole file before it is offered."""
