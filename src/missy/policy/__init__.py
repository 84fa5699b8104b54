"""What may be reached: pure decisions on scheme, host, port and address.

This room never reads a file, the environment or a clock, opens no socket and looks up no name, so that the
same question always has the same answer, and `net explain`, the door and the audit cannot disagree. It
decides on the parsed form: only a `Target` made by `parse` may be connected to, exactly as it was parsed.
"""

from missy.policy.decision import Category, Decision, Endpoint, Policy, Reach, Rules
from missy.policy.target import InvalidURL, Target, check_cidr, check_domain_entry, check_host_entry, parse

__all__ = [
    "Category",
    "Decision",
    "Endpoint",
    "InvalidURL",
    "Policy",
    "Reach",
    "Rules",
    "Target",
    "check_cidr",
    "check_domain_entry",
    "check_host_entry",
    "parse",
]
