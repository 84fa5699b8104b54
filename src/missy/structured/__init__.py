"""Structured output: the schema, how it is sent, and the validation of the answer.

The answer's text is never repaired: only a code fence around it is removed.
"""
