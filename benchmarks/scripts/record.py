"""What a request pays for the policy and the audit: `record.py COUNT`. Prints us of CPU: its opening, and its end too."""

import sys
import time
from urllib.parse import urlsplit

from missy import paths
from missy.audit import Audit
from missy.config.load import load_chosen
from missy.kinds import KINDS
from missy.net.gate import Attribution, Gate
from missy.net.limits import Clock
from missy.policy import Policy

_BATCH = 100
config = load_chosen(None, KINDS)
gate = Gate(Policy(config.rules()), Audit(paths.home() / "audit.jsonl"))
url = urlsplit(config.entry(None).endpoint)
origin = f"{url.scheme}://{url.netloc}"
attribution = Attribution(Clock(30.0), entry="test")


def measure():
    """Return us a request over one batch: the decision with the opening line, and the closing line."""
    clock = time.process_time
    began = clock()
    requests = [gate.authorize(origin, "POST", "/v1/chat/completions", attribution) for _ in range(_BATCH)]
    authorized = clock()
    for request in requests:
        gate.end(request, status=200)
    return (authorized - began) / _BATCH * 1e6, (clock() - authorized) / _BATCH * 1e6


opening, ending = zip(*(measure() for _ in range(max(3, int(sys.argv[1]) // _BATCH))), strict=True)
print(min(opening), min(opening) + min(ending))
