"""The commands, a file each: they read what was typed, call the library, and show the outcome."""
