"""The checks of `missy doctor`: the machine, the configuration, and each entry, step by step."""
