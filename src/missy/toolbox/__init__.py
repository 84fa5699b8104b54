"""Tools: what the model may ask for, and what happens then.

Nothing runs before `approval.decide` allowed it, or a person did, and its line of the audit is written. No program runs
outside of the sandbox. A tool never decides by itself, and never looks at a rule.
"""
