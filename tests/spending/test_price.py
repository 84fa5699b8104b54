"""Prices and the arithmetic, without I/O: each amount is worked out by hand from the published price."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from missy import Usage
from missy.cost import table
from missy.cost.money import format_usd
from missy.cost.price import FREE, Period, Price, Rates, flat, to_micro

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
OPENAI = ("api.openai.com", "/v1")


@pytest.mark.locked
@pytest.mark.parametrize(
    ("model", "counts", "cost"),
    [
        # gpt-4o: 2.50 in, 1.25 cached, 10 out, for a million
        ("gpt-4o", {"input_tokens": 1000, "output_tokens": 100}, "0.0035"),
        ("gpt-4o", {"input_tokens": 1000, "output_tokens": 100, "cached_tokens": 400}, "0.0030"),
        ("gpt-4o-2024-08-06", {"input_tokens": 2000, "output_tokens": 0, "cached_tokens": 2000}, "0.0025"),
        # reasoning tokens are among the output: 8 for a million, once
        ("o3", {"input_tokens": 500, "output_tokens": 1000, "reasoning_tokens": 900}, "0.009"),
        ("gpt-4o-mini", {"input_tokens": 10, "output_tokens": 1}, "0.0000021"),
    ],
)  # fmt: skip
def test_the_cost_of_a_call_to_openai(model, counts, cost):
    """Cached tokens at their price, others at the full one, reasoning as the output that it is part of."""
    price = table.look_up(*OPENAI, model)
    assert price.cost(Usage(**counts), NOW) == Decimal(cost)


@pytest.mark.parametrize(
    ("host", "path", "model"),
    [
        ("llm.example", "/v1", "gpt-4o"),
        ("api.openai.com.evil.example", "/v1", "gpt-4o"),
        ("evil.example", "/.googleapis.com", "gemini-2.5-pro"),
        ("chatgpt.com", "/backend-api/codex", "gpt-5"),
        ("api.openai.com", "/v1", "gpt-9-that-is-not"),
    ],
)
def test_the_name_of_a_model_alone_has_no_price(host, path, model):
    """A price is of a host: another host, one that begins with its name, and an unknown model have none."""
    assert table.look_up(host, path, model) is None


@pytest.mark.locked
@pytest.mark.parametrize(
    ("host", "path", "model"),
    [
        ("openrouter.ai", "/api/v1", "openai/gpt-4o"),
        ("api.moonshot.ai", "/v1", "kimi-k2-0905-preview"),
        ("my-resource.openai.azure.com", "/openai/v1", "gpt-4o"),
        ("router.huggingface.co", "/groq/v1", "openai/gpt-oss-120b"),
    ],
)
def test_a_host_is_found_by_its_whole_name(host, path, model):
    """Patterns with a path, a subdomain, or an open top-level domain are of their host."""
    assert table.look_up(host, path, model) is not None


def test_what_is_missing_is_not_a_zero():
    """Without a count of input or output there is no cost; without one of cached tokens, none was cached."""
    price = flat(2.5, 10, 1.25)
    assert price.cost(Usage(output_tokens=1), NOW) is None
    assert price.cost(Usage(input_tokens=1), NOW) is None
    assert price.cost(Usage(1000, 100), NOW) == Decimal("0.0035")
    assert flat(2.5, 10).cost(Usage(1000, 100, cached_tokens=400), NOW) == Decimal("0.0035")
    assert FREE.cost(Usage(5, 5), NOW) == 0


def test_more_cached_tokens_than_there_are_do_not_make_it_cheaper():
    """Counts that contradict each other never give a negative part."""
    assert flat(2, 0, 1).cost(Usage(100, 0, cached_tokens=10**9, cache_write_tokens=10**9), NOW) == Decimal(
        "0.0001"
    )


@pytest.mark.locked
def test_tokens_written_to_a_cache_have_their_price():
    """Cache writes are part of the input, at a price of their own where there is one; the upper bound counts it."""
    price = table.look_up("api.anthropic.com", "/v1", "claude-sonnet-4-5")  # 3 in, 3.75 written, 15 out
    assert price.cost(Usage(1000, 0, cache_write_tokens=400), NOW) == Decimal("0.0033")
    assert price.upper(1000, 0, NOW) == Decimal("0.00375")


def test_a_long_input_has_another_price_for_all_of_it():
    """Over the threshold the higher price counts for all tokens."""
    rates = Rates(((-1, Decimal(1)), (200, Decimal(2))), ((-1, Decimal(5)), (200, Decimal(10))))
    price = Price((Period(rates),))
    assert price.cost(Usage(200, 100), NOW) == Decimal("0.0007")
    assert price.cost(Usage(201, 100), NOW) == Decimal("0.001402")


def test_prices_change_by_day_and_by_hour():
    """The last period that holds counts, in UTC; one over midnight as well."""

    def period(amount, **when):
        return Period(Rates(((-1, Decimal(amount)),), ((-1, Decimal(0)),)), **when)

    day = datetime(2026, 12, 1, tzinfo=UTC).date()
    late, early = datetime(1, 1, 1, 22).time(), datetime(1, 1, 1, 6).time()
    price = Price((period(3), period(2, since=day), period(1, start=late, end=early)))
    amounts = [
        price.cost(Usage(1_000_000, 0), datetime(2026, month, 1, hour, tzinfo=UTC))
        for month, hour in ((11, 12), (12, 12), (12, 23), (12, 5), (12, 6))
    ]
    assert amounts == [3, 2, 1, 1, 2]
    assert Price.from_json(price.as_json()) == price


def test_amounts_are_rounded_up_where_they_are_kept():
    """A sum of kept amounts is never below what was spent."""
    assert [to_micro(Decimal(text)) for text in ("0", "0.0000001", "0.000001", "0.0035")] == [0, 1, 1, 3500]


def test_amounts_as_text():
    """Unknown, estimated, a lower bound, tiny, large."""
    assert [format_usd(None), format_usd(0), format_usd(0.0123), format_usd(Decimal("1234.5"))] == [
        "$?", "$0.0000", "$0.0123", "$1,234.50",
    ]  # fmt: skip
    assert (format_usd(0.5, estimated=True), format_usd(0.5, at_least=True)) == ("~$0.5000", "$0.5000+")
    assert format_usd(Decimal("0.0000021")) == "<$0.0001"
