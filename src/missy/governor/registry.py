"""The governors of this process: one for each endpoint and credential."""

from __future__ import annotations

import threading
from collections import OrderedDict

from missy.governor.core import Governor

MAX_GOVERNORS = 256
_governors: OrderedDict[tuple[str, int], Governor] = OrderedDict()
_mutex = threading.Lock()


def governor_of(base_url: str, *credential: str) -> Governor:
    """Return the governor of an endpoint; `credential` is whatever tells one account from another, secrets too."""
    key = (base_url, hash(credential))  # a hash that no other process can make, and no secret
    with _mutex:
        found = _governors.get(key)
        if found is None:
            found = _governors[key] = Governor()
            while len(_governors) > MAX_GOVERNORS:
                _governors.popitem(last=False)
        _governors.move_to_end(key)
        return found
