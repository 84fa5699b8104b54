"""The file that `missy init` writes."""

from __future__ import annotations

import re

from missy.config import fields, section_fields
from tests.configuration import ENTRY, template


def test_the_template_loads_and_changes_nothing_but_the_entry(loaded):
    """A new file means the defaults and one entry, openai, with its key from the environment."""
    config, empty = loaded(template()), loaded("providers: {openai: {}}\n")
    assert (config.network, config.budget, config.warnings) == (empty.network, empty.budget, ())
    assert list(config.providers) == ["openai"]
    assert config.entry().api_key is None
    assert config.entry().endpoint == empty.entry().endpoint


def test_every_setting_can_be_uncommented(loaded):
    """A line that starts with # and no blank is a setting; with the # gone the file still loads."""
    text, count = re.subn(r"(?m)^( *)#(?=[^ \n]|  [a-z])", r"\1", template())
    config = loaded(text)
    assert count > 10
    assert {"openai", "groq", "my-server", "laptop"} <= set(config.providers)
    assert config.default_provider == "openai"
    assert config.entry("laptop").kind == "local"
    assert config.entry("groq").api_key == "$GROQ_API_KEY"
    assert config.warnings == ()


def test_a_setting_has_no_blank_after_its_mark():
    """The head of the file is true: # and a blank is prose, # alone is a setting, in the place where it counts."""
    text = re.sub(r"(?m)^( *)#(?=\S)", r"\1", template())
    prose = re.findall(r"(?m)^ *#.*", text)
    assert not [line for line in prose if re.match(r" *# {2,}", line)]


def test_every_key_is_in_the_template():
    """Whoever reads the file has seen every key that this version can use."""
    keys = [field.name for table in (ENTRY, section_fields.NETWORK, section_fields.BUDGET) for field in table]
    missing = [key for key in (*fields.SECTIONS, *keys) if f"{key}:" not in template()]
    assert not missing
