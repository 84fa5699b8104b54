"""A conversation over the assistant: what was said goes along, and what is said is kept."""
