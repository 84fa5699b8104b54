"""What a store of keys and counters must do. The statements are the same for both, with parameters $1, $2, ..."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

from missy.errors import MissyError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

Row = tuple[Any, ...]


class StoreDown(MissyError):
    """The store cannot be reached now: nothing was decided, and a later attempt may succeed."""

    type = "store"


class Transaction(Protocol):
    """A transaction: all of its statements take effect, or none."""

    async def run(self, sql: str, *args: Any) -> list[Row]:
        """Run one statement and return its rows. Raises StoreDown."""


class Store(Protocol):
    """A store. Every method raises StoreDown while it cannot be reached."""

    async def open(self) -> None:
        """Connect, and bring the tables up to date. Raises MissyError."""

    async def run(self, sql: str, *args: Any) -> list[Row]:
        """Run one statement by itself."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction that may write."""

    async def close(self) -> None:
        """Close every connection."""


def migrations() -> list[tuple[int, list[str]]]:
    """Return the numbered steps to the present tables: the version that each leads to, and its statements."""
    found = []
    for file in files("missy.serve").joinpath("sql").iterdir():
        number, _, rest = file.name.partition("_")
        if number.isdecimal() and rest.endswith(".sql"):
            text = "\n".join(
                line for line in file.read_text("utf-8").splitlines() if not line.startswith("--")
            )
            found.append((int(number), [part.strip() for part in text.split(";") if part.strip()]))
    return sorted(found)


def newer(version: int, what: str) -> MissyError:
    """Return the error for tables that a newer Missy made."""
    return MissyError(
        f"{what} has tables of a newer Missy (version {version})", hint="upgrade Missy here too"
    )
