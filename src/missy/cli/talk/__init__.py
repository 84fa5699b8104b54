"""The interactive conversation: reading input, slash commands, and showing answers."""
