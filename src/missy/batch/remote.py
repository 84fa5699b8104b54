"""The provider's own Batch API: rows go up as files, answers come back within 24 hours, at about half the price.

`submit` may be killed at any moment: the uploaded file and the batch carry the fingerprint of their rows, so that they are
found again and nothing is made twice. `collect` writes to the same journal as a run. OpenAI's form: /files, /batches.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from missy import files
from missy.batch.answers import answer_of, store_answer
from missy.errors import MissyError, ProviderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import openai

    from missy.batch.item import Item
    from missy.batch.job import Job
    from missy.batch.runner import Runner

STATE = "batch_ids"
MAX_ROWS = 50_000  # of one file
MAX_BYTES = {"api.together.xyz": 100 << 20}  # of one file, where it is less than MOST_BYTES
MOST_BYTES = 200 << 20
_OPEN = ("validating", "in_progress", "finalizing", "cancelling")
_FAILED = ("failed", "cancelled", "expired")
_ENDPOINT = "/v1/chat/completions"
_FINGERPRINT = "missy_fingerprint"


class Remote:
    """The batches of one job at its provider. `parts` is what the job's folder knows of them."""

    def __init__(self, job: Job, client: openai.OpenAI, provider: Any, host: str) -> None:
        self._job, self._client, self._provider, self._host = job, client, provider, host
        self._path = job.folder / STATE
        self.parts: list[dict[str, Any]] = files.read_note(self._path, 16 << 20).get("parts", [])

    def _save(self) -> None:
        files.write_private(self._path, json.dumps({"parts": self.parts}, indent=1).encode())

    # --- submit

    def submit(self, runner: Runner) -> int:
        """Upload the rows that have no answer and are in no batch, and begin their batches. Returns how many rows."""
        taken = {row for part in self.parts if not part.get("collected") for row in part["rows"]}
        rows = 0
        for lines in self._files(item for item in runner.items() if item.number not in taken):
            data = b"".join(line for _, line in lines)
            print_ = sha256(data).hexdigest()
            part = {"fingerprint": print_, "rows": [number for number, _ in lines]}
            name = f"missy-{self._job.name}-{print_[:16]}.jsonl"
            file = self._uploaded(name) or self._call(
                lambda name=name, data=data: self._client.files.create(file=(name, data), purpose="batch").id
            )
            batch = self._begun(print_) or self._call(
                lambda file=file, print_=print_: (
                    self._client.batches.create(
                        input_file_id=file,
                        endpoint=_ENDPOINT,  # type: ignore[arg-type]
                        completion_window="24h",
                        metadata={"missy_job": self._job.name, _FINGERPRINT: print_},
                    ).id
                )
            )
            self.parts.append({**part, "file": file, "batch": batch})
            self._save()
            rows += len(lines)
        return rows

    def _files(self, items: Iterator[Item]) -> Iterator[list[tuple[int, bytes]]]:
        """Yield the rows of each file, within the provider's bounds."""
        most, held, size = MAX_BYTES.get(self._host, MOST_BYTES), list[tuple[int, bytes]](), 0
        for item in items:
            body = json.loads(self._provider.preview(item.request).body)
            row = {
                "custom_id": f"{item.number}-{item.hash}",
                "method": "POST",
                "url": _ENDPOINT,
                "body": body,
            }
            line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
            if held and (len(held) == MAX_ROWS or size + len(line) > most):
                yield held
                held, size = [], 0
            held.append((item.number, line))
            size += len(line)
        if held:
            yield held

    def _uploaded(self, name: str) -> str | None:
        """Return the file of this name that a killed run has uploaded."""
        found = self._call(lambda: list(self._client.files.list(purpose="batch", limit=100)))
        return next((one.id for one in found if one.filename == name), None)

    def _begun(self, fingerprint: str) -> str | None:
        """Return the batch of these rows that a killed run has begun and not stored."""
        ours = {part["batch"] for part in self.parts}
        for batch in self._call(lambda: list(self._client.batches.list(limit=100))):
            told = batch.metadata or {}
            if told.get(_FINGERPRINT) == fingerprint and batch.id not in ours and batch.status not in _FAILED:
                return str(batch.id)
        return None

    # --- collect

    def collect(self, runner: Runner) -> list[str]:
        """Store the answers of the batches that have ended. Returns what to say of those that have not given all."""
        if not self.parts:
            raise UsageError(
                f"nothing of job {self._job.name} was submitted", hint="see: missy batch submit --help"
            )
        told = []
        known = {item.number: item for item in runner.items()}
        for part in self.parts:
            if part.get("collected"):
                continue
            batch = self._call(lambda part=part: self._client.batches.retrieve(part["batch"]))
            if batch.status in _OPEN:
                counts = batch.request_counts
                done = f", {counts.completed} of {counts.total} rows" if counts else ""
                told.append(f"batch {batch.id} is not finished: {batch.status}{done}")
                continue
            results = [file for file in (batch.output_file_id, batch.error_file_id) if file]
            for file in results:
                text = self._call(lambda file=file: self._client.files.content(file).text)
                for line in text.splitlines():
                    self._take(line, known, runner)
            runner.sync()
            missing = [row for row in part["rows"] if not runner.has_line(row)]
            if missing:
                faults = [one.message for one in (batch.errors.data if batch.errors else None) or ()]
                why = f": {faults[0]}" if faults else ""
                told.append(
                    f"batch {batch.id} is {batch.status}, and {len(missing)} of its rows have no answer{why}"
                )
            for file in (part["file"], *results):
                self._forget(file)
            part["collected"] = True
            self._save()
        return told

    def _take(self, line: str, known: dict[int, Item], runner: Runner) -> None:
        """Store one row of a result. A row that is not ours, or was changed since, is left out."""
        try:
            told = json.loads(line)
            number, _, hash_ = str(told.get("custom_id")).partition("-")
            item = known.get(int(number))
        except (ValueError, AttributeError):
            return
        if item is not None and item.hash == hash_ and not runner.has_line(item.number):
            store_answer(runner, item, answer_of(self._provider, item, told, self._host))

    def _forget(self, file: str) -> None:
        """Delete a file at the provider. One that is gone already is no fault."""
        try:
            self._call(lambda: self._client.files.delete(file))
        except ProviderError as error:
            if error.status != 404:
                raise

    def cancel(self) -> int:
        """Cancel the batches that are not collected. Returns how many."""
        open_ = [part for part in self.parts if not part.get("collected")]
        for part in open_:
            self._call(lambda part=part: self._client.batches.cancel(part["batch"]))
        return len(open_)

    def _call(self, work: Any) -> Any:
        """Do one call of the package; its HTTP errors become ours. Raises MissyError."""
        try:
            return work()
        except MissyError:
            raise
        except Exception as error:
            status, response = getattr(error, "status_code", None), getattr(error, "response", None)
            if not isinstance(status, int) or response is None:
                raise
            from missy.providers.faults import from_response

            raise from_response(status, dict(response.headers), response.content, host=self._host) from None
