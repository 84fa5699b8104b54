"""`missy batch run` from outside: what is asked, what OUT holds, and the exit code."""

from __future__ import annotations

import json
import os

import pytest

from tests.batch.conftest import read_out
from tests.command import Command

PRICE = {"input": 100, "output": 1000}


def test_every_row_is_asked_once_and_out_is_in_order(missy: Command, crowd, prompts, tmp_path):
    """300 rows: each prompt is seen once, and OUT has each answer under its own number, in the order of the input."""
    server = crowd(delay=0.005)
    missy.entry(server.url)
    done = missy("batch", "run", str(prompts(300)), "-o", str(tmp_path / "out.jsonl"))
    rows = read_out(tmp_path / "out.jsonl")
    assert done.code == 0, done.err
    assert (len(server.asked), server.twice) == (300, 0)
    assert [row["row"] for row in rows] == list(range(300))
    assert all(row["text"] == f"answer to prompt {n}" and row["id"] == f"r{n}" for n, row in enumerate(rows))
    assert rows[0]["usage"]["input_tokens"] == 10
    assert rows[0]["error"] is None


def test_a_job_that_is_run_again_asks_only_what_is_new(missy: Command, crowd, prompts, tmp_path):
    """Rows that were answered are never asked again; rows that were appended are."""
    server = crowd()
    missy.entry(server.url)
    out = tmp_path / "out.jsonl"
    assert missy("batch", "run", str(prompts(10)), "-o", str(out)).code == 0
    out.unlink()
    assert missy("batch", "run", str(prompts(13)), "-o", str(out)).code == 0
    assert missy("batch", "resume", "in").code == 0
    assert (server.requests, server.twice, len(read_out(out))) == (13, 0, 13)


def test_what_is_not_whole_has_its_kind_and_never_a_text(missy: Command, crowd, prompts, tmp_path):
    """Cut, over length, filtered, empty, refused and bad rows each say so; exit 6; no part of an answer is under `text`."""
    server = crowd()
    missy.entry(server.url)
    kinds = {
        "cut": "incomplete",
        "length": "incomplete",
        "filter": "filtered",
        "empty": "incomplete",
        "refuse": "refused",
        "bad": "bad_input",
    }
    rows = [{"prompt": f"{n} [{word}]"} for word in kinds for n in range(3)] + [
        {"prompt": "fine"},
        {"prompt": " "},
    ]
    done = missy("batch", "run", str(prompts(rows)), "-o", str(tmp_path / "out.jsonl"))
    found = read_out(tmp_path / "out.jsonl")
    assert done.code == 6, done.err
    expected = [kind for kind in kinds.values() for _ in range(3)]
    assert [row["error"]["kind"] for row in found[:18]] == expected
    assert all(row["text"] is None and isinstance(row["so_far"], str) for row in found[:18])
    assert found[6]["so_far"] == "I was about"
    assert found[18]["text"] == "answer to fine"
    assert found[19]["error"]["kind"] == "bad_input"
    assert server.twice == 0


def test_retry_failed_asks_what_failed_and_nothing_else(missy: Command, crowd, prompts, tmp_path):
    """`--retry-failed` asks the failed rows once more; a success is not touched."""
    server = crowd()
    missy.entry(server.url)
    path = str(prompts([{"prompt": "one"}, {"prompt": "two [empty]"}]))
    assert missy("batch", "run", path, "-o", str(tmp_path / "o.jsonl")).code == 6
    assert missy("batch", "run", path, "-o", str(tmp_path / "o.jsonl")).code == 6
    assert server.asked == {"one": 1, "two [empty]": 1}
    assert missy("batch", "run", path, "-o", str(tmp_path / "o.jsonl"), "--retry-failed").code == 6
    assert server.asked == {"one": 1, "two [empty]": 2}


def test_a_changed_row_is_an_error_that_names_it(missy: Command, crowd, prompts, tmp_path):
    """A row that asks something else than before stops the run before anything is sent; `--changed` asks it again."""
    server = crowd()
    missy.entry(server.url)
    missy("batch", "run", str(prompts([{"prompt": "a"}, {"prompt": "b"}])), "-o", str(tmp_path / "o.jsonl"))
    path = str(prompts([{"prompt": "a"}, {"prompt": "other"}, {"prompt": "c"}]))
    refused = missy("batch", "run", path, "-o", str(tmp_path / "o.jsonl"))
    assert refused.code == 2
    assert "row 1 (line 2)" in refused.err
    assert server.requests == 2
    assert missy("batch", "run", path, "-o", str(tmp_path / "o.jsonl"), "--changed").code == 0
    assert server.asked == {"a": 1, "b": 1, "other": 1, "c": 1}
    assert [row["text"] for row in read_out(tmp_path / "o.jsonl")] == [
        f"answer to {one}" for one in ("a", "other", "c")
    ]


def test_other_options_are_another_job(missy: Command, crowd, prompts):
    """A job that exists with another model or system prompt is not mixed with this one: exit 2 says what differs."""
    server = crowd()
    missy.entry(server.url)
    path = str(prompts(2))
    assert missy("batch", "run", path).code == 0
    refused = missy("batch", "run", path, "--system", "Be brief.", "--temperature", "0")
    assert refused.code == 2
    assert "another system, temperature" in refused.err
    assert missy("batch", "run", path, "--system", "Be brief.", "--job", "brief").code == 0
    assert server.bodies[-1]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_csv_template_and_stdout(missy: Command, crowd, tmp_path):
    """A CSV's columns fill a template; without -o the rows come on stdout, as JSON Lines."""
    server = crowd()
    missy.entry(server.url)
    (tmp_path / "t.csv").write_text('ticket,text\nT1,"it, broke"\nT2,slow\n')
    done = missy(
        "batch", "run", str(tmp_path / "t.csv"), "--template", "{{{ticket}}} {text}?", "--id", "ticket"
    )
    assert [(row["id"], row["text"]) for row in done.events()] == [
        ("T1", "answer to {T1} it, broke?"),
        ("T2", "answer to {T2} slow?"),
    ]


def test_an_unknown_column_is_an_error_before_anything_is_sent(missy: Command, crowd, prompts):
    """The last row lacks a column of the template: exit 2 names row and column, and nothing was sent."""
    server = crowd()
    missy.entry(server.url)
    path = str(prompts([{"a": "1"}, {"a": "2"}, {"b": "3"}]))
    done = missy("batch", "run", path, "--template", "{a}")
    assert done.code == 2
    assert "row 2 (line 3) has no column 'a'" in done.err
    assert server.requests == 0


def test_messages_and_stdin(missy: Command, crowd):
    """A row may be a list of messages; IN may be stdin, which is kept, so that the job can be resumed."""
    server = crowd()
    missy.entry(server.url)
    rows = [[{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]]
    given = "".join(json.dumps({"messages": row}) + "\n" for row in rows).encode()
    done = missy("batch", "run", "-", stdin=given)
    assert (done.code, done.events()[0]["text"]) == (0, "answer to u")
    assert server.bodies[0]["messages"] == rows[0]
    assert missy("batch", "resume", "stdin").code == 0
    assert server.requests == 1


def test_a_schema_is_checked_and_gives_values(missy: Command, crowd, prompts):
    """Each answer is checked: `value` where it fits, `schema_mismatch` where it does not after one repair."""
    server = crowd()
    missy.entry(server.url)
    done = missy("batch", "run", str(prompts([{"prompt": "[json]"}, {"prompt": "no"}])), "--schema", "n int")
    first, second = done.events()
    assert done.code == 6
    assert (first["value"], first["error"]) == ({"n": 6}, None)
    assert (second["text"], second["error"]["kind"]) == (None, "schema_mismatch")


def test_csv_out_is_harmless_in_a_spreadsheet(missy: Command, crowd, tmp_path):
    """A text that begins with = + - or @ gets an apostrophe in CSV."""
    from missy.batch.output import as_csv

    cells = b"".join(as_csv([json.dumps({"id": "=1+1", "row": 0, "text": "@x"}).encode()])).decode()
    assert "'=1+1,0,'@x," in cells
    server = crowd()
    missy.entry(server.url)
    (tmp_path / "t.csv").write_text("prompt\nhi\n")
    assert missy("batch", "run", str(tmp_path / "t.csv"), "-o", str(tmp_path / "o.csv")).code == 0
    assert "answer to hi" in (tmp_path / "o.csv").read_text()


def test_a_dry_run_sends_nothing_and_leaves_no_job(missy: Command, crowd, prompts):
    """`--dry-run` prints the number of rows, the first request with its key masked, and the most it can cost."""
    server = crowd()
    missy.entry(server.url, api_key="sk-very-secret-1234567890", price=PRICE)
    done = missy("batch", "run", str(prompts(3)), "--dry-run", "--max-tokens", "5")
    assert done.code == 0
    assert "# rows to ask: 3" in done.text
    assert '"prompt 0"' in done.text
    assert "very-secret" not in done.text
    assert server.requests == 0
    assert missy("batch", "list", "--json").json() == []


def test_never_with_a_plan(missy: Command, prompts):
    """An entry of a ChatGPT plan is refused with the reason, before anything is sent."""
    missy.config({"providers": {"openai-codex": {"name": "openai-codex"}, "chatgpt": {"name": "chatgpt"}}})
    for entry, reason in (("openai-codex", "window"), ("chatgpt", "terms")):
        done = missy("batch", "run", str(prompts(1)), "--provider", entry)
        assert done.code == 2
        assert reason in done.err
    assert missy.attempts() == []


def test_status_list_export_and_delete(missy: Command, crowd, prompts, tmp_path):
    """A job can be looked at, exported again and deleted; then nothing of it is left."""
    server = crowd()
    missy.entry(server.url)
    missy("batch", "run", str(prompts(4)), "-o", str(tmp_path / "o.jsonl"))
    told = missy("batch", "status", "in", "--json").json()
    assert (told["state"], told["done"], told["total"], told["asked_twice_at_most"]) == ("complete", 4, 4, 0)
    assert "in    complete  4" in missy("batch", "list").text
    assert len(missy("batch", "export", "in", "-o", "-").events()) == 4
    assert missy("batch", "delete", "in").code == 0
    assert not list((missy.home / "jobs").iterdir())
    assert missy("batch", "status", "in").code == 2


def test_progress_is_one_line_of_json_a_second(missy: Command, crowd, prompts, tmp_path):
    """`--json` writes progress to stderr, and at last an `end` with the exit code."""
    server = crowd(delay=0.02)
    missy.entry(server.url)
    done = missy("batch", "run", str(prompts(20)), "-o", str(tmp_path / "o.jsonl"), "--json")
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert {
        "event",
        "total",
        "done",
        "failed",
        "in_flight",
        "rate",
        "waiting_s",
        "tokens",
        "cost_usd",
        "eta_s",
    } <= set(lines[0])
    assert lines[-1]["event"] == "end"
    assert (lines[-1]["done"], lines[-1]["exit_code"]) == (20, 0)


def test_shards_are_merged_and_a_missing_one_is_an_error(missy: Command, crowd, prompts, tmp_path):
    """Each shard asks its own rows; `merge` puts them together in order, and fails while one is missing or incomplete."""
    server = crowd()
    missy.entry(server.url)
    path = str(prompts(10))
    assert missy("batch", "run", path, "--shard", "1/3").code == 0
    assert missy("batch", "run", path, "--shard", "3/3").code == 0
    missing = missy("batch", "merge", "in", "-o", str(tmp_path / "o.jsonl"))
    assert missing.code == 2
    assert "shard 2/3 is missing" in missing.err
    assert missy("batch", "run", path, "--shard", "2/3", "--limit", "2").code == 0
    assert missy("batch", "merge", "in", "-o", str(tmp_path / "o.jsonl")).code == 6
    assert missy("batch", "run", path, "--shard", "2/3").code == 0
    assert missy("batch", "merge", "in", "-o", str(tmp_path / "o.jsonl")).code == 0
    assert [row["row"] for row in read_out(tmp_path / "o.jsonl")] == list(range(10))
    assert server.twice == 0


@pytest.mark.parametrize("name", ["../x", "a/b", "", "-x"])
def test_a_name_is_no_path(missy: Command, prompts, name):
    """A job's name cannot lead out of the folder of jobs."""
    missy.entry("http://127.0.0.1:9/v1")
    assert missy("batch", "run", str(prompts(1)), f"--job={name}").code == 2


def test_old_jobs_are_deleted_when_another_one_ends(missy: Command, crowd, prompts):
    """`batch: {keep_days: N}` deletes jobs that were last run longer ago, and no other."""
    server = crowd()
    entry = {"name": "openai", "model": "m", "base_url": server.url}
    missy.config({"providers": {"test": entry}, "batch": {"keep_days": 3}})
    path = str(prompts(1))
    assert missy("batch", "run", path, "--job", "old").code == 0
    os.utime(missy.home / "jobs" / "old" / "job.json", (0, 0))
    done = missy("batch", "run", path, "--job", "new")
    assert "deleted job old" in done.err
    assert [one["job"] for one in missy("batch", "list", "--json").json()] == ["new"]
