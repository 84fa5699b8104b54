"""`missy batch submit` and `collect` against a simulator of the Batch API."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.batch.conftest import read_out
from tests.command import Command
from tests.servers.batch_api import BatchApi


@pytest.fixture
def api() -> Iterator[BatchApi]:
    """A provider with a Batch API."""
    made = BatchApi()
    yield made
    made.close()


def _reply(row: dict[str, Any]) -> dict[str, Any]:
    prompt = row["body"]["messages"][-1]["content"]
    if "[bad]" in prompt:
        return {"status_code": 400, "body": {"error": {"message": "no", "code": "invalid_request_error"}}}
    finish = "length" if "[length]" in prompt else "stop"
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": f"answer to {prompt}"},
        "finish_reason": finish,
    }
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {
        "status_code": 200,
        "body": {"object": "chat.completion", "model": "m", "choices": [choice], "usage": usage},
    }


def test_results_in_any_order_and_the_error_file_are_in_out(missy: Command, api: BatchApi, prompts, tmp_path):
    """Answers come in another order, failures in a second file: OUT has all rows in order, and the files are deleted."""
    missy.entry(api.url, price={"input": 100, "output": 1000})
    rows = [{"prompt": "a"}, {"prompt": "b [bad]"}, {"prompt": "c [length]"}, {"prompt": "d"}]
    out = tmp_path / "o.jsonl"
    sent = missy("batch", "submit", str(prompts(rows)), "-o", str(out), "--max-tokens", "5")
    assert sent.code == 0, sent.err
    early = missy("batch", "collect", "in")
    assert early.code == 6
    assert "in_progress" in early.err
    assert not out.exists()
    api.finish(_reply)
    done = missy("batch", "collect", "in")
    found = read_out(out)
    assert done.code == 6, done.err
    assert [row["text"] for row in found] == ["answer to a", None, None, "answer to d"]
    assert [row["error"] and row["error"]["kind"] for row in found] == [None, "bad_input", "incomplete", None]
    assert found[0]["cost_usd"] == pytest.approx((10 * 100e-6 + 5 * 1000e-6) / 2)
    assert len(api.deleted) == 3
    assert missy("batch", "collect", "in").code == 6


def test_completed_without_an_output_file_is_no_success(missy: Command, api: BatchApi, prompts, tmp_path):
    """`completed` and no output file: exit 6 says so, and a run asks the rows itself."""
    missy.entry(api.url)
    missy("batch", "submit", str(prompts(2)), "-o", str(tmp_path / "o.jsonl"))
    api.finish(lambda row: None)
    done = missy("batch", "collect", "in")
    assert done.code == 6
    assert "2 of its rows have no answer" in done.err
    assert missy("batch", "submit", str(prompts(2)), "-o", str(tmp_path / "o.jsonl")).code == 0
    assert len(api.batches) == 2


def test_a_kill_between_creating_and_storing_makes_no_second_batch(
    missy: Command, api: BatchApi, prompts, tmp_path
):
    """Killed after the batch was made and before its id was stored: the next submit finds it, and uploads nothing."""
    missy.entry(api.url)
    path = str(prompts(3))
    made = threading.Event()
    child = missy.start("batch", "submit", path)

    def kill() -> None:
        child.send_signal(signal.SIGKILL)
        made.set()

    api.on_create = kill
    child.communicate()
    assert made.is_set()
    api.on_create = lambda: None
    assert missy("batch", "submit", path).code == 0
    assert (len(api.batches), api.uploads) == (1, 1)
    api.finish(_reply)
    done = missy("batch", "collect", "in")
    assert (done.code, len(done.events())) == (0, 3)


def test_cancel_reaches_the_provider(missy: Command, api: BatchApi, prompts):
    """`batch cancel` of a submitted job cancels its batches; `collect` takes what they have."""
    missy.entry(api.url)
    missy("batch", "submit", str(prompts(2)))
    assert "cancelled 1" in missy("batch", "cancel", "in").err
    assert api.batches["batch-0"]["status"] == "cancelled"
    assert missy("batch", "collect", "in").code == 6


def test_nothing_submitted_is_an_error(missy: Command, crowd, prompts):
    """`collect` of a job that was only run is exit 2."""
    server = crowd()
    missy.entry(server.url)
    missy("batch", "run", str(prompts(1)))
    assert missy("batch", "collect", "in").code == 2
