"""The user interface: the verbs of the command line, and how results look in a terminal. It uses the library; nothing imports it."""
