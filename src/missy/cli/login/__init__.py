"""The sign-in on a terminal."""
