"""What the keys are asked about: an entry, of which they need to know no more than this."""

from __future__ import annotations

from typing import Protocol


class Keyed(Protocol):
    """What is asked of an entry. Its texts are those of the file, references unresolved."""

    @property
    def entry(self) -> str: ...  # noqa: D102
    @property
    def base_url(self) -> str | None: ...  # noqa: D102
    @property
    def endpoint(self) -> str | None: ...  # noqa: D102
    @property
    def api_key(self) -> str | None: ...  # noqa: D102
    @property
    def api_keys(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def api_key_header(self) -> str | None: ...  # noqa: D102
    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...  # noqa: D102
    @property
    def query(self) -> tuple[tuple[str, str], ...]: ...  # noqa: D102
