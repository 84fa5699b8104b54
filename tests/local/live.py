"""The real model and the real server, for the tests marked `live`; load it with `pytest_plugins =
["tests.local.live"]`.

The model is installed once, as a user would, into MISSY_TEST_MODELS (a MISSY_HOME), by default `.demo` of the
checkout.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from missy.audit import Audit
from missy.local import model
from missy.local.server import LocalServer

CACHE = Path(__file__).parents[2] / ".demo"


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The installed model. Tests must not write to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MISSY_HOME", os.environ.get("MISSY_TEST_MODELS", str(CACHE)))
        audit = Audit(Path(os.environ["MISSY_HOME"]) / "audit.jsonl")
        path = model.install(audit, print)
        audit.close()
        return path


@pytest.fixture
def local_home(home: Path, model_file: Path) -> Path:
    """A MISSY_HOME of the test's own with the model in it."""
    models = home / "models"
    models.mkdir(parents=True, mode=0o700)
    for source in (model_file, model_file.with_name(model_file.name + ".json")):
        try:
            os.link(source, models / source.name)
        except OSError:  # another file system
            shutil.copy2(source, models / source.name)
    return home


@pytest.fixture(scope="session")
def local_server(model_file: Path) -> Iterator[LocalServer]:
    """A server that all tests share which do not harm it."""
    with LocalServer.start(model_file) as server:
        yield server
