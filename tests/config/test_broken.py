"""One broken file each: the first line says what is broken, the second which line, key and words the error has."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from missy.errors import ConfigError
from tests.configuration import load

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
EXPECTED = re.compile(r"# line: (\d+) key: (.+?) says: (.+)")


@pytest.mark.parametrize("fixture", BROKEN, ids=lambda path: path.stem)
def test_a_broken_file_is_refused_with_its_line(fixture: Path, tmp_path: Path) -> None:
    """What is wrong is named with file, line, key, what is allowed, and no secret, in one line each."""
    file = tmp_path / "config.yaml"
    shutil.copyfile(fixture, file)
    file.chmod(0o600)
    line, key, says = EXPECTED.fullmatch(fixture.read_bytes().split(b"\n")[1].decode()).groups()
    with pytest.raises(ConfigError) as caught:
        load(file)
    error = caught.value
    assert (error.file, error.line, error.key) == (str(file), int(line), None if key == "-" else key)
    where = f"{file}:{line}: " if key == "-" else f"{file}:{line}: {key}: "
    assert error.message.startswith(where)
    assert says in f"{error.message} {error.hint}"
    assert error.exit_code == 2
    assert (error.message + error.hint).isprintable()
    assert "hunter2" not in error.message + error.hint


def test_there_are_enough_of_them() -> None:
    """The folder of broken files is found."""
    assert len(BROKEN) >= 40
