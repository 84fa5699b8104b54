"""The model server: a separate process, `python -P -S child.py`, on loopback, protected by a key.

Its parent writes one JSON line to its stdin, a socket: {"model", "key", "port", "n_ctx", "threads", "packages"}. A listener
may come with it: then the server is in a network of its own, and the connections to the listener are passed on to it.
It answers with one line on
stdout: {"port", "url"} when the model is loaded, or {"error", "missing"}. When stdin ends, the parent has ended, and
this process exits. It never serves without a key, to another machine or to a web page, never writes to the user's
terminal, and never shows the key where other processes could see it (arguments, environment).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any, NoReturn

ALIAS = "smollm2-135m"  # the name of the served model
MAX_CONNECTIONS = 64  # at once, through a listener that was handed over
_BLOCK = 1 << 16
_PAUSE_SECONDS = 0.05
_MAX_ORDER_BYTES = 1 << 16


def configure(order: dict[str, Any]) -> Any:
    """Return the server's parameters: every default that is unsafe on a desktop is turned off."""
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
    # The default CORS origin allows every web page; no web page can have this origin.
    params.cors_origins, params.cors_origins_explicit = "http://127.0.0.1", True
    params.n_parallel = 1
    params.n_ctx = order["n_ctx"]
    params.fit_params = False  # it would load the model again to try other sizes than the requested one
    params.n_predict = 512  # tokens, if the request sets no limit; the default is unlimited
    params.cache_ram_mib = 64  # the default is 8 GiB
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = order["threads"]
    # Defaults if the request sets none. A model this small writes nonsense at llama.cpp's own 0.8, one time in five at
    # 0.2; the penalty keeps the most likely words from repeating endlessly.
    params.sampling.temp, params.sampling.penalty_repeat = 0.0, 1.1
    params.verbosity = 1  # errors
    return params


def serve(order: dict[str, Any]) -> dict[str, Any]:
    """Load the model and start serving on the server's own threads; returns the reply for the parent."""
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


_running: list[Any] = []  # keeps a reference: the server stops when it is garbage-collected


def _receive(channel: socket.socket) -> tuple[bytes, socket.socket | None]:
    """Receive the order, and the listener if one comes with it."""
    with channel:
        line, files, _, _ = socket.recv_fds(channel, _MAX_ORDER_BYTES, 1)
        while line and not line.endswith(b"\n") and (more := channel.recv(_MAX_ORDER_BYTES)):
            line += more
    return line, socket.socket(fileno=files[0]) if files else None


def pass_on(listener: socket.socket, port: int) -> NoReturn:
    """Pass each connection to the listener on to the server, in the network of this process."""
    slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
    while True:
        slots.acquire()
        try:
            client, _ = listener.accept()
        except OSError:  # it was closed again, or there are too many open files
            slots.release()
            time.sleep(_PAUSE_SECONDS)
            continue
        threading.Thread(target=_join, args=(client, port, slots), daemon=True).start()


def _join(client: socket.socket, port: int, slots: threading.BoundedSemaphore) -> None:
    try:
        with client, socket.create_connection(("127.0.0.1", port)) as inner:
            for one in (client, inner):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            upload = threading.Thread(target=_copy, args=(client, inner), daemon=True)
            upload.start()
            _copy(inner, client)
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)  # the answer is over: ends the upload too
            upload.join()
    except OSError:
        pass  # one side has gone
    finally:
        slots.release()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the source has ended, and tell the sink so."""
    with suppress(OSError):
        while data := source.recv(_BLOCK):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def main() -> NoReturn:
    """Read the parameters, serve, and exit with the parent."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # exit at once, also if the parent ignored the signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    answers = os.dup(1)
    os.dup2(2, 1)  # output of the C++ code goes to stderr
    line, listener = _receive(socket.socket(fileno=os.dup(0)))
    if not line:
        os._exit(0)
    order = json.loads(line)
    sys.path += order["packages"]
    answer = serve({**order, "port": 0 if listener else order["port"]})
    if listener and "port" in answer:
        threading.Thread(target=pass_on, args=(listener, answer["port"]), daemon=True).start()
    with suppress(BrokenPipeError):
        os.write(answers, json.dumps(answer).encode() + b"\n")
    os.close(answers)
    if "error" in answer:
        sys.exit(1)  # a normal exit, so that the log's thread can write the cause
    while os.read(0, 4096):
        pass
    os._exit(0)  # do not wait for the server's threads: stopping them can take long


if __name__ == "__main__":
    main()
