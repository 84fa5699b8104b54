"""The version, where every room can have it."""

__version__ = "0.1.0"
