"""The walk of `missy doctor`: the machine, the configuration, and each entry's true path, step by step."""
