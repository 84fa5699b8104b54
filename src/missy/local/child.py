"""The model server itself: a process of its own, `python -m missy.local.child`, on loopback, behind a key.

Its parent writes one JSON line to its stdin: {"model", "key", "port", "n_ctx", "threads"}. It answers with
one line on stdout: {"port", "url"} when the model is loaded, or {"error", "missing"}. When stdin ends, the
parent is gone, and so is this process. It must never serve without a key, to another machine, or to a web
page; never write to the user's terminal; and never show the key where other processes could see it
(arguments, environment).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

ALIAS = "smollm2-135m"  # what the served model calls itself


def configure(order: dict[str, Any]) -> Any:
    """Return the server's parameters: every default that is unsafe for a desktop is turned off."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["model"]
    params.model_alias = [ALIAS]
    params.hostnames = ["127.0.0.1"]
    params.port = order["port"]
    params.api_keys = [order["key"]]
    for feature in (
        "ui",
        "endpoint_slots",
        "endpoint_props",
        "endpoint_metrics",
        "models_autoload",
        "cors_credentials",
    ):
        setattr(params, feature, False)
    params.offline = True
    # The default allows every page; this one names an origin that no browser tab of a stranger has.
    params.cors_origins, params.cors_origins_explicit = "http://127.0.0.1", True
    params.n_parallel = 1
    params.n_ctx = order["n_ctx"]
    params.fit_params = (
        False  # it would load the model once more to try other sizes than the one that is asked for
    )
    params.n_predict = 512  # tokens, where the request names no limit; the default has none
    params.cache_ram_mib = 64  # the default is 8 GiB
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = order["threads"]
    # Where the request names none. So small a model talks nonsense at llama.cpp's own 0.8, one time in five at
    # 0.2; the penalty keeps the most likely word from going round in circles.
    params.sampling.temp, params.sampling.penalty_repeat = 0.0, 1.1
    params.verbosity = 1  # errors
    return params


def serve(order: dict[str, Any]) -> dict[str, Any]:
    """Load the model and start serving on the server's own threads; returns what to tell the parent."""
    try:
        params = configure(order)
    except ImportError as error:
        return {"error": str(error), "missing": True}
    import xllamacpp

    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        return {"error": str(error), "missing": False}
    _running.append(server)
    url: str = server.listening_address
    return {"port": int(url.rsplit(":", 1)[1]), "url": url}


_running: list[Any] = []  # holds the server: it stops when it is collected


def main() -> NoReturn:
    """Read the order, serve, and end with the parent."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # at once, also where the parent had it ignored
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever C++ prints belongs with the errors
    line = sys.stdin.buffer.readline()
    if not line:
        os._exit(0)
    answer = serve(json.loads(line))
    with suppress(BrokenPipeError):
        os.write(answers, json.dumps(answer).encode() + b"\n")
    os.close(answers)
    if "error" in answer:
        sys.exit(1)  # in the ordinary way, which lets the log's own thread write the cause
    while os.read(0, 4096):
        pass
    os._exit(0)  # the server's threads need no good-bye, and may take their time for one


if __name__ == "__main__":
    main()
