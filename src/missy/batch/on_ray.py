"""One job over the workers of a Ray cluster: a task for each shard, which has a journal of its own.

A worker that is lost costs the rows that it had under way: Ray starts its task again, and the journal knows what was
answered. Keys are looked up on the worker, and are in no task. Missy starts no cluster: what Ray starts by itself listens on
all interfaces of the machine, whatever address it is given. What Ray itself sends is not in the audit.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from missy import paths
from missy.batch.job import Job
from missy.batch.prepare import Wanted, job_name
from missy.errors import MissyError, UsageError
from missy.hints import to_install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STOP_SECONDS = 20.0  # for shards that are told to stop
_WAKE_SECONDS = 1.0


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
    template = wanted.template
    if template is not None and template.startswith("@"):
        template = f"@{paths.expand(template[1:]).absolute()}"
    one = wanted._replace(
        input=str(paths.expand(wanted.input).absolute()),
        job=job_name(wanted),
        out=None,
        template=template,
        concurrency=None if most is None else max(1, most // workers),
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
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except Exception as error:  # it has no base class for what can go wrong
        said = str(error).partition("\n")[0][:200]
        raise MissyError(
            f"there is no Ray cluster at {address}: {said}",
            hint="start one on your own network: ray start --head; its address is printed",
        ) from error
    return ray


def workers_of(ray: Any) -> int:
    """Return how many tasks the cluster runs at once."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def distribute(
    ray: Any, ask: Callable[..., tuple[Any, ...]], tasks: Sequence[tuple[Any, ...]], names: Sequence[str]
) -> Iterator[tuple[int, ShardResult]]:
    """Run `ask(*task)` for each task on the cluster; yield each number and its result as it ends.

    `names` are the jobs of the tasks. On Ctrl-C they are told to stop, and are waited for a while.
    """
    environ = {"MISSY_HOME": str(paths.home())}
    remote = ray.remote(max_retries=-1)(ask).options(runtime_env={"env_vars": environ})
    running = {remote.remote(*task): number for number, task in enumerate(tasks)}
    try:
        while running:
            ended, _ = ray.wait(list(running), timeout=_WAKE_SECONDS)
            for one in ended:
                yield running.pop(one), _result(ray, one)
    except KeyboardInterrupt:
        for name in names:
            job = Job.load(name)
            if job is not None:
                job.cancel()
        ray.wait(list(running), num_returns=len(running), timeout=STOP_SECONDS)
        raise


def _result(ray: Any, task: Any) -> ShardResult:
    try:
        return ShardResult(*ray.get(task))
    except Exception as error:  # a fault of the cluster, or of Missy's on the worker
        said = str(error).strip().rpartition("\n")[2][:300]
        return ShardResult(1, message=f"it could not be run: {said}", hint="run the same command again")
