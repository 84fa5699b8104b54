"""Structured output: a schema that an answer must fit, what is sent of it, and the check of what comes back.

The answer's text is never mended: a fence around it is taken off, the rest is as the model gave it.
"""
