"""What has come into a run so far: text from strangers, private data. It only ever grows."""

from __future__ import annotations

from typing import NamedTuple


class Taint(NamedTuple):
    """`untrusted`: the model has read text that neither the user nor this run wrote; `private`: it has read private data.

    `source` names the first untrusted text, to be shown to the user.
    """

    untrusted: bool = False
    private: bool = False
    source: str = ""

    def after(self, *, untrusted: bool = False, private: bool = False, source: str = "") -> Taint:
        """Return the taint after a result."""
        first = self.source or (source if untrusted else "")
        return Taint(self.untrusted or untrusted, self.private or private, first)

    def within(self, other: Taint) -> bool:
        """Tell whether `other` already had all of this: a yes that was given then still holds."""
        return self.untrusted <= other.untrusted and self.private <= other.private

    @property
    def word(self) -> str:
        """Return it in one word, for the audit."""
        names = [name for name, has in (("untrusted", self.untrusted), ("private", self.private)) if has]
        return "+".join(names) or "none"

    def __str__(self) -> str:
        return f"(after reading {self.source})" if self.untrusted and self.source else ""
