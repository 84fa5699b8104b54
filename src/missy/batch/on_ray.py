"""One job over the workers of a Ray cluster: a task for each shard, which has a journal of its own.

A worker that is lost costs the rows that it had under way: Ray starts its task again, and the journal knows what was
answered. Keys are looked up on the worker, and are in no task. Missy starts no cluster: what Ray starts by itself listens on
all interfaces of the machine, whatever address it is given. What Ray itself sends is not in the audit.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from missy import paths
from missy.batch.job import Job
from missy.batch.prepare import Wanted, job_name
from missy.errors import MissyError, UsageError
from missy.hints import to_install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STOP_SECONDS = 20.0  # for shards that are told to stop
_WAKE_SECONDS = 0.5
_POLL_SECONDS = 0.1


class ShardResult(NamedTuple):
    """How a shard ended: its exit code, how many rows it has answered, and the error that ended it early."""

    code: int
    done: int = 0
    message: str = ""
    hint: str = ""


def split(wanted: Wanted, workers: int) -> list[Wanted]:
    """Return what each shard is asked for. Limits are divided, so that all of them together keep to them.

    Raises UsageError for what cannot be shared among workers.
    """
    if wanted.input == "-":
        raise UsageError("--engine ray reads a file, not stdin", hint="name a file that all workers can read")
    if wanted.shard is not None:
        raise UsageError("--engine ray makes the shards itself", hint="leave out --shard")
    most = wanted.concurrency
    if most is not None and most < workers:
        raise UsageError(
            f"--concurrency {most} is less than one request for each of {workers} workers",
            hint="give a smaller --workers, or a greater --concurrency",
        )
    template = wanted.template
    if template is not None and template.startswith("@"):
        template = f"@{paths.expand(template[1:]).absolute()}"
    one = wanted._replace(
        input=str(paths.expand(wanted.input).absolute()),
        job=job_name(wanted),
        out=None,
        template=template,
        concurrency=None if most is None else most // workers,
        rpm=_share(wanted.rpm, workers),
        tpm=_share(wanted.tpm, workers),
        max_cost=_share(wanted.max_cost, workers),
    )
    return [one._replace(shard=(number, workers)) for number in range(1, workers + 1)]


def _share(limit: float | None, workers: int) -> float | None:
    return None if limit is None else limit / workers


def connect(address: str) -> Any:
    """Connect to a running cluster, and return the `ray` package. Raises MissyError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UsageError("--engine ray needs the package ray", hint=to_install("ray")) from None
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except Exception as error:  # it has no base class for what can go wrong
        said = str(error).partition("\n")[0][:200]
        raise MissyError(
            f"there is no Ray cluster at {address}: {said}",
            hint="start one on your own network: ray start --head; its address is printed",
        ) from error
    finally:
        signal.signal(signal.SIGTERM, on_terminate)  # Ray takes it, and would end this process with 1
    return ray


def workers_of(ray: Any, wanted: Wanted) -> int:
    """Return how many tasks the cluster runs at once, and no more than there may be requests."""
    most = max(1, int(ray.cluster_resources().get("CPU", 1)))
    return most if wanted.concurrency is None else min(most, wanted.concurrency)


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Note SIGINT, SIGTERM and SIGHUP in the list: what a handler raises, Ray would turn into an exit of its own."""
    numbers: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: numbers.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield numbers
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def distribute(
    ray: Any,
    ask: Callable[..., ShardResult],
    tasks: Sequence[tuple[Any, ...]],
    is_stopped: Callable[[], bool],
) -> Iterator[tuple[int, ShardResult]]:
    """Run `ask(*task)` for each task on the cluster; yield each number and its result as it ends.

    It ends early, with shards still running, when `is_stopped` says so.
    """
    environ = {"MISSY_HOME": str(paths.home())}
    remote = ray.remote(max_retries=-1)(ask).options(runtime_env={"env_vars": environ})
    running = {remote.remote(*task): number for number, task in enumerate(tasks)}
    while running and not is_stopped():
        ended, _ = ray.wait(list(running), timeout=_WAKE_SECONDS)
        for one in ended:
            yield running.pop(one), _result(ray, one)


def stop_shards(names: Sequence[str]) -> None:
    """Tell the shards of these names to stop, and wait for a while until they have stored what was answered."""
    deadline = time.monotonic() + STOP_SECONDS
    running = [job for name in names if (job := Job.load(name)) is not None and job.cancel()]
    while any(job.is_running for job in running) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _result(ray: Any, task: Any) -> ShardResult:
    try:
        result: ShardResult = ray.get(task)
        return result
    except Exception as error:  # a fault of the cluster, or of Missy's on the worker
        said = str(error).strip().rpartition("\n")[2][:300]
        return ShardResult(1, message=f"it could not be run: {said}", hint="run the same command again")
