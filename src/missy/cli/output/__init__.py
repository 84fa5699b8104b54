"""All output: an answer as it arrives, tables, and sanitizing of text for a terminal."""
