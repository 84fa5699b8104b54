"""The wizard of `missy setup`."""
