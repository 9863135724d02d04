"""The user interface: the verbs of the command line, and the output on a terminal. It uses the library; nothing imports it."""
