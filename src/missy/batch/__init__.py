"""Bulk work: many prompts, each asked once, its answer in a journal before anything else happens to it."""
