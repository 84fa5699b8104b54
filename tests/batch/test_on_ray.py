"""A batch job over a Ray cluster. `make test-ray` installs Ray; elsewhere only what needs no cluster is tested."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from missy.batch.on_ray import split
from missy.batch.prepare import Wanted
from missy.errors import UsageError
from tests.batch.conftest import read_out
from tests.command import Command

SOURCE = Path(__file__).parents[2] / "src"
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="make test-ray installs Ray")
ROWS, WORKERS, CONCURRENCY = 4000, 2, 64
SAFETY = 400.0  # seconds: on a loaded machine a cluster and its workers need minutes to start


def test_limits_are_divided_and_places_are_whole(tmp_path, monkeypatch):
    """All shards together keep to the limits; what they read is named so that every worker finds it."""
    monkeypatch.chdir(tmp_path)
    parts = split(Wanted("in.jsonl", template="@t.txt", concurrency=8, rpm=60, max_cost=3.0), 4)
    assert [part.shard for part in parts] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {(part.concurrency, part.rpm, part.tpm, part.max_cost) for part in parts} == {(2, 15, None, 0.75)}
    assert {(part.input, part.template, part.job) for part in parts} == {
        (f"{tmp_path}/in.jsonl", f"@{tmp_path}/t.txt", "in")
    }


def test_each_worker_has_a_request_at_least():
    """More workers than --concurrency would pass it: that is refused."""
    with pytest.raises(UsageError, match="less than one request"):
        split(Wanted("in.jsonl", concurrency=2), 3)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((), "needs --address: Missy starts no cluster"),
        (("--address", "127.0.0.1:1", "--shard", "1/2"), "makes the shards itself"),
        (("--address", "127.0.0.1:1", "--json"), "--json shows the progress of a run here"),
        pytest.param(
            ("--address", "127.0.0.1:1"),
            "needs the package ray",
            marks=pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is here"),
        ),
    ],
)
def test_wrong_use_is_exit_2(missy: Command, prompts, args, told):
    """Without an address, without the package, or with a shard: an error before anything is sent."""
    missy.entry("http://127.0.0.1:9/v1")
    done = missy("batch", "run", str(prompts(2)), "--engine", "ray", *args)
    assert done.code == 2
    assert told in done.err


def test_the_address_needs_the_engine(missy: Command, prompts):
    """--address alone would be ignored: it is an error."""
    missy.entry("http://127.0.0.1:9/v1")
    assert missy("batch", "run", str(prompts(2)), "--address", "127.0.0.1:1").code == 2


@pytest.fixture
def cluster(missy: Command) -> Iterator[str]:
    """Start a cluster whose workers know the key; returns its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        **os.environ,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "PYTHONPATH": str(SOURCE),
        "ON_RAY_KEY": "sk-on-the-worker-0123456789",
    }
    ray = str(Path(sys.executable).with_name("ray"))
    with tempfile.TemporaryDirectory(prefix="ray") as folder:  # a short path: it holds sockets
        start = [ray, "start", "--head", "--num-cpus", str(WORKERS), "--include-dashboard=false",
                 "--node-ip-address=127.0.0.1", f"--port={port}", f"--temp-dir={folder}"]  # fmt: skip
        subprocess.run(start, env=environ, check=True, capture_output=True, timeout=SAFETY)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            subprocess.run(
                [ray, "stop", "--force"], env=environ, check=False, capture_output=True, timeout=SAFETY
            )


def on_ray(rows: Path, out: Path, cluster: str) -> tuple[str, ...]:
    """The command that asks the rows on the cluster."""
    return ("batch", "run", str(rows), "-o", str(out), "--engine", "ray", "--address", cluster, "--workers", str(WORKERS),
            "--concurrency", str(CONCURRENCY), "--max-tokens", "5")  # fmt: skip


def workers() -> list[int]:
    """The processes that run a shard now."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            name = place.read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::ask_shard"):
            found.append(int(place.parent.name))
    return found


@needs_ray
@pytest.mark.slow
def test_a_killed_worker_costs_the_rows_under_way(missy: Command, cluster, crowd, prompts, tmp_path):
    """Every row is answered, in order, by the key of the worker; asked twice are at most the rows under way and one commit."""
    server, out = crowd(delay=0.02), tmp_path / "out.jsonl"
    missy.entry(server.url, api_key="$ON_RAY_KEY")
    with missy.start(*on_ray(prompts(ROWS), out, cluster), env={"RAY_AUTH_MODE": "disabled"}) as running:
        server.wait_asked(1500, SAFETY)
        os.kill(workers()[0], signal.SIGKILL)
        _, err = running.communicate(timeout=SAFETY)
    assert running.returncode == 0, err.decode()
    assert [row["text"] for row in read_out(out)] == [f"answer to prompt {number}" for number in range(ROWS)]
    assert len(server.asked) == ROWS
    assert server.twice <= CONCURRENCY // WORKERS + 64
    assert b"sk-on-the-worker" not in err


@needs_ray
@pytest.mark.slow
def test_a_killed_driver_goes_on_where_it_was(missy: Command, cluster, crowd, prompts, tmp_path):
    """The command itself is killed, and run again: what was stored is not asked again."""
    server, out = crowd(delay=0.02), tmp_path / "out.jsonl"
    missy.entry(server.url, api_key="$ON_RAY_KEY")
    command = on_ray(prompts(ROWS), out, cluster)
    with missy.start(*command, env={"RAY_AUTH_MODE": "disabled"}) as running:
        server.wait_asked(1500, SAFETY)
        running.kill()
    deadline = time.monotonic() + SAFETY
    while workers() and time.monotonic() < deadline:
        time.sleep(0.1)  # the cluster ends them, and tells nobody
    before = server.requests
    assert before < ROWS
    assert missy(*command, env={"RAY_AUTH_MODE": "disabled"}, timeout=SAFETY).code == 0
    assert [row["text"] for row in read_out(out)] == [f"answer to prompt {number}" for number in range(ROWS)]
    assert server.twice <= CONCURRENCY + WORKERS * 64


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_shards_in_order(
    number: int, code: int, missy: Command, cluster, crowd, prompts, tmp_path
):
    """On Ctrl-C and SIGTERM every shard stores what was answered and ends; the same command goes on from there."""
    server, out = crowd(delay=0.02), tmp_path / "out.jsonl"
    missy.entry(server.url, api_key="$ON_RAY_KEY")
    command = on_ray(prompts(ROWS), out, cluster)
    with missy.start(*command, env={"RAY_AUTH_MODE": "disabled"}) as running:
        server.wait_asked(1000, SAFETY)
        running.send_signal(number)
        assert running.wait(SAFETY) == code, running.stderr.read()
    assert not out.exists()
    assert server.requests < ROWS
    assert missy(*command, env={"RAY_AUTH_MODE": "disabled"}, timeout=SAFETY).code == 0
    assert [row["text"] for row in read_out(out)] == [f"answer to prompt {number}" for number in range(ROWS)]
    assert server.twice <= CONCURRENCY


@needs_ray
@pytest.mark.slow
def test_a_shard_that_cannot_go_on_is_told(missy: Command, cluster, prompts):
    """A key that is not on the worker: exit 4, with the reason, and nothing is put together."""
    missy.entry("https://api.groq.com/openai/v1", "groq", api_key="$NOT_ON_THE_WORKER")
    done = missy(
        "batch", "run", str(prompts(4)), "--engine", "ray", "--address", cluster, "--workers", "2",
        env={"RAY_AUTH_MODE": "disabled", "NOT_ON_THE_WORKER": "sk-0123456789-here"}, timeout=SAFETY,
    )  # fmt: skip
    assert done.code == 4, done.err
    assert "NOT_ON_THE_WORKER" in done.err
    assert done.text == ""
