"""A Hub on this machine, for the clients as they are: what is published is read back through it."""
