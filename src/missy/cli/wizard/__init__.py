"""The questions of `missy setup`."""
