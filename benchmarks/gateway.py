"""What `missy serve` costs, beside a bare ASGI pass-through, in one run: `python benchmarks/gateway.py`.

All stand before the same endpoint and get the same requests in turn, round after round; read the ratios. CPU is that of
the gateway's process alone. It needs no network and no key of anybody. `--litellm PROGRAM` measures LiteLLM's proxy too,
without a database, with a tenth of the requests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MISSY = [sys.executable, "-m", "missy"]
TICKS = os.sysconf("SC_CLK_TCK")
BODY = {"model": "test", "messages": [{"role": "user", "content": "hi"}]}
CHUNKS = 20


def frame(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def mock_replies() -> tuple[bytes, bytes]:
    usage = {"prompt_tokens": 3, "completion_tokens": CHUNKS, "total_tokens": 3 + CHUNKS}
    head = {"id": "c", "created": 1, "model": "m"}
    message = {"role": "assistant", "content": "word " * CHUNKS}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    whole = json.dumps({**head, "object": "chat.completion", "choices": choices, "usage": usage}).encode()
    parts = [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}] * CHUNKS
    parts.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events = [{**head, "object": "chat.completion.chunk", "choices": [part]} for part in parts]
    events.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    stream = b"".join(frame(b"data: " + json.dumps(event).encode() + b"\n\n") for event in events)
    stream += frame(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    ok = b"HTTP/1.1 200 OK\r\nContent-Type: "
    return (
        ok + b"application/json\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole,
        ok + b"text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + stream,
    )


async def mock(ready: asyncio.Future[int]) -> None:
    whole, stream = mock_replies()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
                body = await reader.readexactly(int(length or 0))  # LiteLLM asks for the list of models
                writer.write(stream if b'"stream":true' in body.replace(b" ", b"") else whole)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1024)
    ready.set_result(server.sockets[0].getsockname()[1])
    await server.serve_forever()


BARE = """
import httpcore2, sys, uvicorn
pool = httpcore2.AsyncConnectionPool(max_connections=200, max_keepalive_connections=200)
UP = sys.argv[1]
async def app(scope, receive, send):
    body = b""
    while True:
        message = await receive(); body += message.get("body", b"")
        if not message.get("more_body"): break
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    async with pool.stream("POST", UP, headers=headers, content=body) as reply:
        kept = [(k.lower(), v) for k, v in reply.headers if k.lower() in (b"content-type", b"content-length")]
        await send({"type": "http.response.start", "status": reply.status, "headers": kept})
        async for piece in reply.aiter_stream():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
quiet = {"access_log": False, "log_level": "critical", "lifespan": "off"}
uvicorn.run(app, port=int(sys.argv[2]), http="httptools", loop="asyncio", **quiet)
"""


LITELLM = {
    "model_list": [],
    "general_settings": {"master_key": "sk-bench"},
    "litellm_settings": {"telemetry": False, "num_retries": 0},
}


class Server:
    def __init__(self, name: str, process: subprocess.Popen, port: int, key: str) -> None:
        self.name, self.process, self.port, self.key = name, process, port, key

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes) -> bytes:
    writer.write(raw)
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise AssertionError(head)
    low = head.lower()
    if b"content-length: " in low:
        return await reader.readexactly(int(low.partition(b"content-length: ")[2].split(b"\r\n")[0]))
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


def request(server: Server, *, stream: bool) -> bytes:
    body = json.dumps({**BODY, **({"stream": True} if stream else {})}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def start_litellm(program: str, up: int, folder: Path) -> Server:
    """Start LiteLLM's proxy and wait until it answers: it takes a minute."""
    parameters = {"model": "openai/m", "api_base": f"http://127.0.0.1:{up}/v1", "api_key": "none"}
    config = folder / "litellm.yaml"
    models = [{"model_name": "test", "litellm_params": parameters}]
    config.write_text(json.dumps({**LITELLM, "model_list": models}))
    options = ["--config", str(config), "--host", "127.0.0.1", "--port", "8998"]
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "DISABLE_ADMIN_UI": "True"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = Server(
        "litellm", subprocess.Popen([program, *options], env=environment, **quiet), 8998, "sk-bench"
    )
    await reachable(server)
    return server


async def reachable(server: Server) -> None:
    """Wait until a server takes connections."""
    for _ in range(3600):
        try:
            (await asyncio.open_connection("127.0.0.1", server.port))[1].close()
        except OSError:
            if server.process.poll() is not None:
                raise AssertionError(f"{server.name} ended with {server.process.returncode}") from None
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError(f"{server.name} does not listen")


async def load(server: Server, count: int, *, stream: bool, at_once: int = 50) -> float:
    """Send requests; return the CPU of each in microseconds."""
    raw = request(server, stream=stream)
    before = server.cpu()

    async def worker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(count // at_once):
            await ask(reader, writer, raw)
        writer.close()

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return (server.cpu() - before) / (count // at_once * at_once) * 1e6


async def serial(port: int, server: Server, count: int) -> float:
    """Return the median time of a request, one after the other, in milliseconds."""
    raw = request(server, stream=False)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await ask(reader, writer, raw)
        times.append((time.perf_counter() - began) * 1000)
    writer.close()
    return statistics.median(times)


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    mocking = asyncio.create_task(mock(ready))
    up = await ready
    os.environ["MISSY_HOME"] = str(folder)
    entry = {
        "name": "openai",
        "model": "m",
        "base_url": f"http://127.0.0.1:{up}/v1",
        "price": {"input": 1, "output": 2},
    }
    config = folder / "config.yaml"
    config.write_text(json.dumps({"providers": {"test": entry}, "serve": {"entries": ["test"]}}))
    config.chmod(0o600)
    make = [*MISSY, "keys", "create", "bench", "--budget", "1000/day"]
    key = subprocess.run(make, capture_output=True, text=True, check=True).stdout.strip()
    process = subprocess.Popen([*MISSY, "serve", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True)
    port = int(json.loads(process.stdout.readline())["url"].rpartition(":")[2].partition("/")[0])
    missy = Server("missy", process, port, key)
    figures = {"start CPU, s": missy.cpu()}
    url = f"http://127.0.0.1:{up}/v1/chat/completions"
    bare = Server("bare", subprocess.Popen([sys.executable, "-c", BARE, url, "8997"]), 8997, "none")
    servers = [missy, bare]
    try:
        await reachable(bare)
        if options.litellm:
            servers.append(await start_litellm(options.litellm, up, folder))
            figures["litellm, start CPU, s"] = servers[-1].cpu()
        results: dict[str, list[float]] = {}
        for number in range(options.rounds + 1):
            for server in servers:
                for stream in (False, True):
                    count = options.count // 10 if server.name == "litellm" else options.count
                    cost = await load(server, count, stream=stream)
                    if number:
                        results.setdefault(f"{server.name} {'streamed' if stream else 'whole'}", []).append(
                            cost
                        )
        found = {name: statistics.median(values) for name, values in results.items()}
        figures |= {f"CPU a request, us: {name}": value for name, value in found.items()}
        for kind in ("whole", "streamed"):
            for server in servers[1:]:
                ratio = found[f"missy {kind}"] / found[f"{server.name} {kind}"]
                figures[f"CPU, missy / {server.name}: {kind}"] = ratio
        direct = figures["p50 direct, ms"] = await serial(up, missy, 500)
        for server in servers:
            through = await serial(server.port, server, 500)
            figures[f"added p50, ms: {server.name}"] = through - direct
        if options.litellm:
            figures["litellm, RSS, MiB"] = servers[-1].rss()
        before = figures["RSS before, MiB"] = missy.rss()
        await load(missy, options.soak, stream=False)
        figures[f"RSS after {options.soak} requests more, MiB"] = missy.rss()
        figures["grown, MiB"] = missy.rss() - before
    finally:
        for server in servers:
            server.process.send_signal(signal.SIGTERM)
            server.process.wait()
        mocking.cancel()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=2000, help="requests of each case and round")
    parser.add_argument(
        "--soak", type=int, default=100_000, help="requests between the two looks at the memory"
    )
    parser.add_argument("--litellm", metavar="PROGRAM", help="the command `litellm`, with its extra `proxy`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="missy-gateway-") as folder:
        for name, value in asyncio.run(measure(options, Path(folder))).items():
            print(f"{name:45} {value:10.3f}")


if __name__ == "__main__":
    main()
