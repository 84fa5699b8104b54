"""The door: the only rooms that open a connection, each one decided, resolved once, checked and on record."""
