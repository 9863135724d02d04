"""TREE -> GRAPH -> ARTIFACT: elaboration, analyses, passes, backends, and the Python interface in `network`."""
