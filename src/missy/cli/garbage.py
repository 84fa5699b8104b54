"""The garbage collector, which `missy.cli.main` switches off while modules load."""

from __future__ import annotations

import gc


def collect_from_now_on() -> None:
    """Enable the collector for a command that runs on. Loaded modules stay: it need not look at them."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
