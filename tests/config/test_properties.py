"""Whatever is in the file: a configuration or a ConfigError, nothing else."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy.config import fields, section_fields
from missy.config.positions import SourceMap
from missy.config.schema import Config
from missy.config.show import effective, to_yaml
from missy.errors import ConfigError
from tests.configuration import ENTRY, build, load

pytestmark = pytest.mark.slow

KEYS = [field.name for table in (ENTRY, section_fields.NETWORK, section_fields.BUDGET) for field in table]
WORDS = st.sampled_from(
    [
        *KEYS,
        *fields.SECTIONS,
        "local",
        "openai",
        "chatgpt",
        "$A",
        "https://[::1",
        "http://a\\b",
        "*.",
        "10.0.0.0/99",
        "~x",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(WORDS | st.text(), inner), max_leaves=12
)
ENTRIES = st.dictionaries(
    st.text(max_size=8) | WORDS, st.dictionaries(st.sampled_from(KEYS), VALUES) | VALUES
)
SYNTAX = st.text(st.sampled_from("{}[]:-,&*!|>'\"%@`?#<= \n\t~01.eaké\x00\u2028\ud800"), max_size=80)


def _load(data: bytes) -> Config | None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        found = _outcome(lambda: load(Path(file.name)))
    if isinstance(found, Config):
        return found
    assert found.message.startswith(file.name)
    assert "\n" not in found.message + found.hint
    return None


def _outcome(call: Callable[[], Config]) -> Config | ConfigError:
    try:
        return call()
    except ConfigError as error:
        return error


@given(st.binary(max_size=200) | SYNTAX.map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=400)
def test_junk_is_an_error_of_the_file(data):
    """No bytes bring anything but ConfigError, in one line."""
    _load(data)


@given(
    st.fixed_dictionaries(
        {}, optional={"providers": ENTRIES, "network": VALUES, "budget": VALUES, "default_provider": VALUES}
    )
)
@settings(max_examples=300)
def test_any_data_is_an_error_or_a_configuration(data):
    """Well-formed data of any shape is checked to the end, from text and as data; what loads can be shown."""
    config = _load(json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if config is not None:
        assert to_yaml(effective(config))
        config.rules()
    checked = _outcome(lambda: build(data, SourceMap(Path("/x/config.yaml"))))
    assert isinstance(checked, Config) or checked.key
