"""A stand-in for the two servers of a ChatGPT subscription: the issuer and the backend, strict about every rule.

It speaks over real sockets on 127.0.0.1, plain or under TLS with the true host names behind a CONNECT proxy. What it
is told to do wrong, it does wrong: see `faults`. It counts what it is sent, so that a test can say "once".
"""

from tests.simulator.faults import BACKEND_ROWS, ISSUER_ROWS, Fault, Faults
from tests.simulator.issuer import Account
from tests.simulator.script import Call, Say, Script, Think
from tests.simulator.world import Simulator

__all__ = [
    "BACKEND_ROWS",
    "ISSUER_ROWS",
    "Account",
    "Call",
    "Fault",
    "Faults",
    "Say",
    "Script",
    "Simulator",
    "Think",
]
