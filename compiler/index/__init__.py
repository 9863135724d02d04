"""What the names in a text mean, and what is known about each place of it: for editors, free of any protocol."""
