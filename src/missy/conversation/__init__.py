"""A conversation over the assistant: earlier turns are sent along, and new ones are stored."""
