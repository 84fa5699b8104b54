"""Conversations on the disk: one SQLite file, and nothing above this room knows that it is one."""
