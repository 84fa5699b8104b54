"""Setting an entry up: from the answers of a person or the flags of a script to a written configuration."""
