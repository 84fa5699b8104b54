"""What is in force, printed: it loads again, and holds no secret."""

from __future__ import annotations

from missy.config.show import effective, to_yaml
from tests.config.test_load import FULL


def _without_lines(config):
    providers = {
        name: entry._replace(line=0, base_url=entry.endpoint) for name, entry in config.providers.items()
    }
    return config._replace(providers=providers, fingerprint=None)


def test_what_is_shown_loads_to_the_same(loaded):
    """Printing and loading is a round trip: defaults, order and paths included."""
    config = loaded(FULL)
    again = loaded(to_yaml(effective(config)))
    assert _without_lines(again) == _without_lines(config)
    assert to_yaml(effective(again)) == to_yaml(effective(config))


def test_what_is_shown_is_in_force(loaded):
    """The endpoint is named where the file has null, and the first enabled entry where it names no default."""
    shown = effective(loaded("providers: {off: {enabled: false}, a: {}}\n"))
    assert shown["default_provider"] == "a"
    assert shown["providers"]["a"]["base_url"] == "https://api.openai.com/v1"
    assert shown["network"]["default_deny"] is True


def test_keys_are_masked_and_references_are_not(loaded):
    """A literal key is ***; the name of a variable is no secret."""
    shown = effective(
        loaded("providers: {a: {api_key: hunter2hunter2, api_keys: [$A, hunter2hunter3]}, b: {}}\n")
    )
    assert shown["providers"]["a"]["api_key"] == "***"
    assert shown["providers"]["a"]["api_keys"] == ["$A", "***"]
    assert shown["providers"]["b"]["api_key"] is None
    assert "hunter2" not in to_yaml(shown)


def test_a_price_is_shown_as_it_is_written(loaded):
    """An entry's `price` can be loaded again; without one it is null."""
    text = "providers: {a: {price: {input: 2.5, output: 10}}, b: {price: {input: null, output: null}}}\n"
    shown = effective(loaded(text))["providers"]
    assert shown["a"]["price"] == {"input": 2.5, "cached_input": None, "output": 10.0}
    assert shown["b"]["price"] is None
    assert loaded(to_yaml(effective(loaded(text)))).providers["a"].price == loaded(text).providers["a"].price
