"""Credentials: resolving, storing and masking them. Nothing here prints or opens a connection."""
