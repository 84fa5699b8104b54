"""Limits: of the rate, of the account, of money; and an endpoint that is down."""

from __future__ import annotations

import pytest

from missy.batch.drive import MAX_OUTAGES
from tests.batch.conftest import read_out
from tests.command import Command

PRICE = {"input": 100, "output": 1000}
COST = 10 * 100e-6 + 5 * 1000e-6  # of one answer of the endpoint, in US dollars


@pytest.mark.slow
def test_a_rate_limit_loses_no_row(missy: Command, crowd, prompts, tmp_path):
    """20 requests a second and `Retry-After: 1`: no row fails, and few are refused.

    How much of the limit is used is held in tests/governor, on a clock of its own, and measured in benchmarks/batch.py.
    """
    server = crowd(per_second=20)
    missy.entry(server.url)
    out = tmp_path / "o.jsonl"
    done = missy("batch", "run", str(prompts(200)), "-o", str(out), "--concurrency", "100")
    assert done.code == 0, done.err
    assert all(row["error"] is None for row in read_out(out))
    assert (
        server.limited <= 0.15 * server.requests
    )  # most of them in the first burst; benchmarks/batch.py asks more rows


def test_rpm_is_kept(missy: Command, crowd, prompts, tmp_path):
    """`--rpm` spreads the requests evenly."""
    server = crowd()
    missy.entry(server.url)
    assert missy("batch", "run", str(prompts(12)), "-o", str(tmp_path / "o.jsonl"), "--rpm", "300").code == 0
    assert server.times[-1] - server.times[0] >= (12 - 2.3) / 5 - 0.1


def test_a_quota_that_is_used_up_ends_the_run(missy: Command, crowd, prompts, tmp_path):
    """`insufficient_quota` ends the run with 7, although its status is that of a rate limit; the job can be resumed."""
    spent = (429, {"error": {"message": "quota", "type": "insufficient_quota", "code": "insufficient_quota"}})
    server = crowd(refuse_after=10, refusal=spent, delay=0.01)
    missy.entry(server.url)
    done = missy("batch", "run", str(prompts(200)), "-o", str(tmp_path / "o.jsonl"), "--concurrency", "4")
    assert done.code == 7, done.err
    assert server.refused <= 4
    server.refuse_after = None
    assert missy("batch", "resume", "in").code == 0
    assert (len(read_out(tmp_path / "o.jsonl")), server.twice) == (200, 0)


def test_the_first_401_ends_the_run(missy: Command, crowd, prompts, tmp_path):
    """A key that is refused in the middle: exit 4, and no more requests than were under way."""
    server = crowd(refuse_after=30, delay=0.01)
    missy.entry(server.url, api_key="sk-test-key-1234567890")
    done = missy("batch", "run", str(prompts(300)), "-o", str(tmp_path / "o.jsonl"), "--concurrency", "4")
    assert done.code == 4, done.err
    assert server.refused <= 4
    assert missy("batch", "status", "in", "--json").json()["done"] == 30


def test_an_endpoint_that_is_down_ends_the_run(missy: Command, crowd, prompts, tmp_path):
    """Twenty failures in a row: exit 5, and no row is marked as failed for it."""
    server = crowd(deaf=True)
    missy.entry(server.url)
    done = missy("batch", "run", str(prompts(100)), "-o", str(tmp_path / "o.jsonl"))
    assert done.code == 5, done.err
    assert MAX_OUTAGES <= server.requests <= 2 * MAX_OUTAGES
    told = missy("batch", "status", "in", "--json").json()
    assert (told["done"], told["failed"]) == (0, {})
    server.deaf = False
    assert missy("batch", "resume", "in").code == 0


def test_a_row_that_fails_alone_fails_alone(missy: Command, crowd, prompts, tmp_path):
    """A row that the endpoint cannot answer is asked four times and is a failure; one that fails once is answered."""
    server = crowd(delay=0.05)
    missy.entry(server.url)
    rows = [{"prompt": "x [fail]"}, {"prompt": "y [once]"}, *({"prompt": f"p{n}"} for n in range(80))]
    done = missy("batch", "run", str(prompts(rows)), "-o", str(tmp_path / "o.jsonl"), "--concurrency", "2")
    found = read_out(tmp_path / "o.jsonl")
    assert done.code == 6, done.err
    assert found[0]["error"]["kind"] == "provider"
    assert found[0]["error"]["status"] == 500
    assert found[1]["error"] is None
    assert server.asked["x [fail]"] >= 4


def test_no_cap_is_passed_by_the_endpoints_own_count(missy: Command, crowd, prompts, tmp_path):
    """`--max-cost`: the run ends with 7 before the endpoint's own count passes the cap; a higher one goes on."""
    server = crowd(delay=0.005)
    missy.entry(server.url, price=PRICE, network={"allowed_cidrs": ["127.0.0.0/8"]})
    args = ("batch", "run", str(prompts(60)), "-o", str(tmp_path / "o.jsonl"), "--max-tokens", "5")
    done = missy(*args, "--max-cost", "0.1")
    assert done.code == 7, done.err
    assert 0 < sum(server.asked.values()) * COST <= 0.1
    assert missy("batch", "status", "in", "--json").json()["cost_usd"] == pytest.approx(
        server.requests * COST
    )
    assert missy("batch", "resume", "in", "--max-cost", "5").code == 0
    assert server.twice == 0


@pytest.mark.slow
def test_no_cap_is_passed_over_kills(missy: Command, crowd, prompts, tmp_path):
    """What a killed run may have asked counts as spent: the cap holds over kills as well."""
    server = crowd(delay=0.05)
    missy.entry(server.url, price=PRICE)
    args = ("batch", "run", str(prompts(100)), "-o", str(tmp_path / "o.jsonl"), "--max-tokens", "5")
    for part in (1, 2, 3):
        child = missy.start(*args, "--max-cost", "0.3")
        server.wait_asked(part * 10)
        child.kill()
        child.communicate()
    assert missy(*args, "--max-cost", "0.3").code == 7
    assert sum(server.asked.values()) * COST <= 0.3


def test_a_cap_needs_a_longest_answer_and_a_price(missy: Command, crowd, prompts):
    """`--max-cost` without `--max-tokens`, or for a model whose price nobody knows, is exit 2 before anything is sent."""
    missy.entry("https://llm.example.com/v1", api_key="sk-test-key-1234567890")
    path = str(prompts(1))
    assert "--max-tokens" in missy("batch", "run", path, "--max-cost", "1", "--job", "a").err
    done = missy("batch", "run", path, "--max-cost", "1", "--max-tokens", "5", "--job", "b")
    assert done.code == 2
    assert "price" in done.err


def test_the_budget_of_the_day_holds(missy: Command, crowd, prompts, tmp_path):
    """`budget.day_usd` ends a run with 7; what the rows cost is in `missy usage` with everything else."""
    server = crowd()
    entry = {"name": "openai", "model": "m", "base_url": server.url, "price": PRICE}
    missy.config({"providers": {"test": entry}, "budget": {"day_usd": 0.2}})
    done = missy("batch", "run", str(prompts(100)), "-o", str(tmp_path / "o.jsonl"), "--max-tokens", "5")
    assert done.code == 7, done.err
    assert 0 < server.requests * COST <= 0.2


def test_a_refused_host_ends_the_run(missy: Command, prompts):
    """What the policy refuses is exit 3, with one line on record."""
    entry = {
        "name": "openai",
        "model": "m",
        "base_url": "https://10.1.2.3/v1",
        "api_key": "sk-test-key-1234567890",
    }
    missy.config({"providers": {"test": entry}})
    done = missy("batch", "run", str(prompts(50)))
    assert done.code == 3, done.err
    assert len(missy("audit", "recent", "--refused", "--json").json()) == 1
