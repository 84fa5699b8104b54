"""What is shown: an answer as it arrives, tables, and text made harmless for a terminal."""
