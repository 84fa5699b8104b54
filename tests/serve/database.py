"""A real PostgreSQL server of the test's own: on a free port of loopback, in a folder of its own, as a plain user."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.command import SAFETY

PASSWORD = "canary-password-of-the-database"
_FOLDERS = ("/usr/lib/postgresql",)


def find(name: str) -> str | None:
    """Return a program of PostgreSQL, on PATH or where distributions put it."""
    found = [str(path) for folder in _FOLDERS for path in sorted(Path(folder).glob(f"*/bin/{name}"))]
    return found[-1] if found else shutil.which(name)


class Database:
    """One server; `url` is of its one database."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="missy-postgres-"))
        self._as_user: list[str] = []
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(self.folder, "nobody")
            self._as_user = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"postgresql://missy:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self._data = self.folder / "data"
        words = self.folder / "password"
        words.write_text(PASSWORD)
        words.chmod(0o644)
        made = [
            find("initdb"),
            "-D",
            self._data,
            "-U",
            "missy",
            "-A",
            "scram-sha-256",
            "--pwfile",
            words,
            "-N",
        ]
        self._run(made)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = ["-k", self.folder, "-h", "127.0.0.1", "-p", str(self.port), "-c", "fsync=off"]
        self.process = subprocess.Popen(
            [*self._as_user, find("postgres"), "-D", self._data, *map(str, options)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._env(),
        )
        self._run([find("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)], tries=600)

    def stop(self) -> None:
        """Stop it at once, with its connections."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(SAFETY)
            self.process = None

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def query(self, sql: str) -> str:
        """Run a statement, and return what psql prints of it."""
        psql = [
            find("psql"),
            "-X",
            "-A",
            "-t",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "missy",
            "-d",
            "postgres",
        ]
        done = subprocess.run(
            [*psql, "-c", sql],
            capture_output=True,
            check=True,
            timeout=SAFETY,
            env={**self._env(), "PGPASSWORD": PASSWORD},
        )
        return done.stdout.decode().strip()

    def _run(self, command: list[object], tries: int = 1) -> None:
        import time

        for _ in range(tries):
            done = subprocess.run(
                [*self._as_user, *map(str, command)],
                capture_output=True,
                check=False,
                timeout=SAFETY,
                env=self._env(),
                cwd="/",
            )
            if done.returncode == 0:
                return
            time.sleep(0.05)  # it tells nobody when it is ready
        raise AssertionError(done.stderr.decode() + done.stdout.decode())

    def _env(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
