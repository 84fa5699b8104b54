"""Five hundred configurations with one break each: one error, at the line of the break."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from missy.errors import ConfigError
from tests.configuration import load

Lines = list[str]
Break = Callable[[random.Random, Lines], int]  # breaks the lines, and returns the line of the break, from 1

NUMBERS = ["-5", "0", "soon", "[1]", ".nan", "1e99", "true", '"5"']
FLAGS = ["maybe", "1", "[true]", '"yes"', "{}"]
URLS = ["nonsense", "ftp://example.com", "https://", "https://a.example/v1?x=1", "5", "[https://a.example]"]
LISTS = ["example.com", "5", "{a: b}", "true"]
HOSTS = ["https://a.example", "a.example/x", "*.a.example", "a.example:0", "a.example:99999", "5", ""]
CIDRS = ["10.0.0.1/8", "a.example", "10.0.0.0/99", "7"]


def _healthy(rng: random.Random) -> Lines:
    """Write a valid configuration, a key a line, in an order and with comments that differ each time."""
    lines = ["# a configuration"] * rng.randrange(3) + ["providers:"]
    for number in range(rng.randrange(1, 5)):
        keys = [
            "    name: openai",
            f"    model: m{number}",
            "    api_key: $KEY",
            f"    base_url: https://host{number}.example/v1",
            f"    timeout: {rng.randrange(1, 90)}",
            "    max_retries: 2",
            "    enabled: true",
        ]
        rng.shuffle(keys)
        lines += [f"  entry-{number}:{rng.choice(['', '   # mine'])}", *keys]
        lines += [rng.choice(["", "  # between", "    # inside"])] * rng.randrange(2)
    keys = [
        "  default_deny: true",
        "  allowed_hosts: [a.example, b.example:8443]",
        "  allowed_cidrs: [10.0.0.0/8]",
        "  proxy: null",
    ]
    rng.shuffle(keys)
    return [*lines, "network:", *keys, "budget: {day_usd: null}"]


def _replace(key: str, values: list[str], *, lists: bool = False) -> Break:
    def act(rng: random.Random, lines: Lines) -> int:
        places = [i for i, line in enumerate(lines) if line.strip().startswith(f"{key}:")]
        at = rng.choice(places)
        value = rng.choice(values)
        value = f'["{value}"]' if lists else value
        lines[at] = lines[at].partition(":")[0] + f": {value}"
        return at + 1

    return act


def _insert(make: Callable[[random.Random], str], after: str) -> Break:
    """Put a line of its own directly below a line that begins with `after`."""

    def act(rng: random.Random, lines: Lines) -> int:
        at = rng.choice([i for i, line in enumerate(lines) if line.startswith(after)]) + 1
        lines.insert(at, make(rng))
        return at + 1

    return act


def _double(rng: random.Random, lines: Lines) -> int:
    """Write a key of an entry twice: the second one is the break."""
    at = rng.choice([i for i, line in enumerate(lines) if line.startswith("    ") and "#" not in line])
    lines.insert(at + 1, lines[at])
    return at + 2


def _tab(rng: random.Random, lines: Lines) -> int:
    at = rng.choice([i for i, line in enumerate(lines) if line.startswith("    ") and "#" not in line])
    lines[at] = "\t" + lines[at].strip()
    return at + 1


def _control(rng: random.Random, lines: Lines) -> int:
    at = rng.randrange(len(lines))
    lines[at] += rng.choice(["\x00", "\x1b[31m", "\x85", "\u2028", "\x7f"])
    return at + 1


def _word(rng: random.Random) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz_", k=rng.randrange(3, 12)))


BREAKS: dict[str, Break] = {
    "timeout": _replace("timeout", NUMBERS),
    "max_retries": _replace("max_retries", ["-1", "2.5", "many", "101", "true", "null"]),
    "enabled": _replace("enabled", FLAGS),
    "base_url": _replace("base_url", URLS),
    "kind": _replace("name", ["groq", "5", "true", "[openai]", "OpenAI"]),
    "model": _replace("model", ["5", "[m]", '""', '" m"', "true"]),
    "api_key": _replace("api_key", ["5", "[k]", '"two words"', "$1", "http://x", '""']),
    "default_deny": _replace("default_deny", FLAGS),
    "a list": _replace("allowed_hosts", LISTS),
    "a host": _replace("allowed_hosts", HOSTS, lists=True),
    "a network": _replace("allowed_cidrs", CIDRS, lists=True),
    "proxy": _replace("proxy", ["proxy.example", "socks5://p.example:1", "http://p.example", "5"]),
    "an unknown key of an entry": _insert(lambda rng: f"    x{_word(rng)}: 1", "  entry-"),
    "an unknown key of network": _insert(lambda rng: f"  x{_word(rng)}: 1", "network:"),
    "an unknown section": _insert(lambda rng: f"x{_word(rng)}: 1", "budget:"),
    "another kind's key": _insert(lambda _rng: "    issuer: https://a.example", "  entry-"),
    "a default that is none": _insert(lambda rng: f"default_provider: x{_word(rng)}", "budget:"),
    "a tag": _insert(lambda _rng: "    deadline: !!python/object:os.system 1", "  entry-"),
    "an unknown alias": _insert(lambda _rng: "    deadline: *nowhere", "  entry-"),
    "a key twice": _double,
    "a tab": _tab,
    "a control character": _control,
}


@pytest.mark.parametrize("number", range(25))
def test_one_break_is_one_error_at_its_line(tmp_path: Path, number: int) -> None:
    """Twenty-odd kinds of breaks in ever other files: the message begins with file and line, and has one line."""
    rng = random.Random(number)
    file = tmp_path / "config.yaml"
    for name, act in BREAKS.items():
        lines = _healthy(rng)
        file.write_text("\n".join(lines) + "\n")
        file.chmod(0o600)
        assert load(file).exists
        line = act(rng, lines)
        file.write_text("\n".join(lines) + "\n")
        with pytest.raises(ConfigError) as caught:
            load(file)
        error = caught.value
        assert error.line == line, (name, error.message, "\n".join(lines))
        assert error.message.startswith(f"{file}:{line}: ")
        assert error.hint
        assert "\n" not in error.message + error.hint


def test_there_are_five_hundred_of_them() -> None:
    """25 rounds of every break."""
    assert 25 * len(BREAKS) >= 500
