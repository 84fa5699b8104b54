"""Editing YAML text in place: every line that does not change stays as it is.

Pure: text in, text out, independent of the configuration's meaning. The text is never generated again from its
data: edits are made at the offset of each value, and the rest stays byte for byte.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from missy.config.yaml_layout import CannotSplice, Layout, Member
from missy.config.yaml_reader import plain

_BREAKS = re.compile("[\r\n\x85\u2028\u2029]")
_GAP = re.compile(" +(?=#)")
_Matched = tuple[list[tuple[int, Any, Any]], list[tuple[int, str | None, Any]]]


def splice(text: str, old: Any, wanted: dict[str, Any]) -> str:
    """Return `text`, which parses to `old`, edited as little as possible so that it parses to `wanted`.

    Raises CannotSplice. The caller must parse the result again: with anchors it may differ from `wanted`.
    """
    return text if same(old, wanted) else _Splicer(text).run(old, wanted)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal in value and type (1, 1.0 and true differ)."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def inline(value: Any, quote: str | None = None) -> str:
    """Return `value` as YAML on one line, valid inside brackets too; a string in the given quotes, if any."""
    return _dump([value], quote if isinstance(value, str) else None).strip()[1:-1]


def _alone(value: Any, quote: str | None = None) -> str:
    """Return `value` as YAML on one line, valid only outside of brackets, where a URL needs no quotes."""
    scalar = isinstance(value, str)
    return _dump(value, quote).strip().removesuffix("\n...") if scalar and value.strip() else inline(value)


def _dump(value: Any, quote: str | None) -> str:
    dumper = _Quoting if quote and not _BREAKS.search(str(value)) else _Dumper
    dumped: str = yaml.dump(
        value,
        Dumper=dumper,
        default_style=quote if dumper is _Quoting else None,
        default_flow_style=True,
        width=float("inf"),
        allow_unicode=True,
        sort_keys=False,
    )
    return dumped


class _Quoting(yaml.SafeDumper):
    """Writes one string in the given quotes."""


class _Dumper(yaml.SafeDumper):
    """Writes values on one line, without anchors; quotes a string that our reader would parse as another type."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    quote = '"' if _BREAKS.search(text) or not isinstance(plain(text), str) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=quote)


_Dumper.add_representer(str, _string)


class _Splicer:
    """One edit of a text: collects the changes and applies them at the end."""

    def __init__(self, text: str) -> None:
        self.layout = Layout(text)
        self.cuts: list[tuple[int, int, str]] = []

    def run(self, old: Any, wanted: dict[str, Any]) -> str:
        """Return the text that parses to `wanted`."""
        root = self.layout.root
        if isinstance(root, yaml.MappingNode) and root.value and wanted:
            self._change_members(root, old, wanted)
        elif isinstance(root, yaml.MappingNode):
            end = (
                self.layout.members(root)[-1].end
                if root.value and not root.flow_style
                else root.end_mark.index
            )
            self._cut(root.start_mark.index, end, inline(wanted))
        elif old is None:
            self._insert_lines(len(self.layout.text), self._block(wanted, 0))
        else:
            raise CannotSplice("its top level is not a mapping")
        return self._apply()

    def _change_members(self, node: yaml.CollectionNode, old: Any, new: Any) -> None:
        members = self.layout.members(node)
        match = _match_keys if isinstance(node, yaml.MappingNode) else _match_items
        kept, added = match(members, old, new)
        for index, before, value in kept:
            if not same(before, value):
                self._change(node, members[index], value, before)
        gone = set(range(len(members))) - {index for index, _, _ in kept}
        if node.flow_style:
            self._remove_in_line(members, gone)
        else:
            self._remove_lines(members, gone)
        for after, key, value in added:
            add = self._add_in_line if node.flow_style else self._add_lines
            add(members, after, key, value)

    def _change(self, parent: yaml.CollectionNode, member: Member, new: Any, old: Any) -> None:
        node = member.value
        alike = type(new) is type(old) and new and old
        if not alike or not isinstance(node, yaml.CollectionNode):
            self._replace(parent, member, new)
        elif member.alias:
            raise CannotSplice(f"{member.key or 'a list'} is a YAML alias")
        else:
            self._change_members(node, old, new)

    def _replace(self, parent: yaml.CollectionNode, member: Member, new: Any) -> None:
        """Replace a value; a comment on the key's line stays."""
        node, layout = member.value, self.layout
        start, end = max(node.start_mark.index, member.after), member.end
        if member.alias or start == end:
            start = member.after
        if (
            layout.line(start) > member.after
            and isinstance(node, yaml.CollectionNode)
            and not node.flow_style
        ):
            self._cut(layout.line(start), layout.next_line(end), "")  # a block below its key
            start = end = member.after
        if isinstance(new, dict) and new and isinstance(parent, yaml.MappingNode) and not parent.flow_style:
            self._cut(member.after, end, "")
            lines = self._block(new, layout.column(member) + layout.step)
            return self._insert_lines(layout.next_line(end), lines)
        quote = node.style if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"') else None
        space = "" if start > member.after or (parent.flow_style and start < end) else " "
        written = space + (inline(new, quote) if parent.flow_style else _alone(new, quote))
        gap = _GAP.match(layout.text, end)
        if gap is None or start == member.after == end:
            return self._cut(start, end, written)
        width = max(
            2, len(gap[0]) + end - start - len(written)
        )  # a comment after the value stays in its column
        return self._cut(start, gap.end(), written + " " * width)

    def _remove_lines(self, members: list[Member], gone: set[int]) -> None:
        for index in gone:
            deeper = self.layout.column(members[index]) + 1
            start = self.layout.own_line(members[index])
            self._cut(start, self.layout.section_end(members[index], deeper), "")

    def _remove_in_line(self, members: list[Member], gone: set[int]) -> None:
        last = max(set(range(len(members))) - gone, default=-1)
        for index in gone:
            if index < last:
                self._cut(members[index].head, members[index + 1].head, "")
        if last < len(members) - 1:
            self._cut(members[last].end if last >= 0 else members[0].head, members[-1].end, "")

    def _add_lines(self, members: list[Member], after: int, key: str | None, value: Any) -> None:
        """Add a member on new lines after the one with the index `after`, or before the first (-1)."""
        self.layout.own_line(members[0])
        column = self.layout.column(members[0])
        lines = [" " * column + "- " + _alone(value)] if key is None else self._block({key: value}, column)
        if after < 0:
            return self._insert_lines(self.layout.above(members[0]), lines)
        deeper = after < len(members) - 1  # a comment indented like the keys belongs to the next key
        return self._insert_lines(self.layout.section_end(members[after], column + deeper), lines)

    def _add_in_line(self, members: list[Member], after: int, key: str | None, value: Any) -> None:
        text = inline(value) if key is None else inline({key: value})[1:-1]
        if after < 0:
            self._cut(members[0].head, members[0].head, f"{text}, ")
        else:
            self._cut(members[after].end, members[after].end, f", {text}")

    def _block(self, value: dict[str, Any], column: int) -> list[str]:
        """Return a mapping as lines; its lists go on one line each."""
        lines = []
        for key, item in value.items():
            nested = isinstance(item, dict) and item
            lines.append(" " * column + inline(key) + ":" + ("" if nested else " " + _alone(item)))
            if nested:
                lines += self._block(item, column + self.layout.step)
        return lines

    def _insert_lines(self, offset: int, lines: list[str]) -> None:
        newline, before = self.layout.newline, self.layout.text[self.layout.first : offset]
        if before and not before.endswith("\n"):  # the file ends without a newline, and stays so
            self._cut(offset, offset, newline + newline.join(lines))
        else:
            self._cut(offset, offset, "".join(line + newline for line in lines))

    def _cut(self, start: int, end: int, text: str) -> None:
        self.cuts.append((start, end, text))

    def _apply(self) -> str:
        """Apply the changes from the last to the first; at one offset, deletions come before insertions."""
        order = sorted(enumerate(self.cuts), key=lambda cut: (cut[1][0], cut[1][1] > cut[1][0], cut[0]))
        text = self.layout.text
        for _, (start, end, new) in reversed(order):
            text = text[:start] + new + text[end:]
        return text


def _match_keys(members: list[Member], old: dict[str, Any], new: dict[str, Any]) -> _Matched:
    """Return the members that stay (index, old value, new value) and those to add (after which index, key, value)."""
    own = {member.key: index for index, member in enumerate(members)}
    kept = [(index, old[key], new[key]) for key, index in own.items() if key is not None and key in new]
    added: list[tuple[int, str | None, Any]] = []
    after = -1
    for key, value in new.items():
        after = own.get(key, after)
        if key not in own:
            added.append((after, key, value))
    return kept, added


def _match_items(members: list[Member], old: list[Any], new: list[Any]) -> _Matched:
    """Do the same for lists: an equal beginning and end stay, and the items between are changed one by one."""
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if not same(old[i], new[i])), shorter)
    tail = next((i for i in range(shorter - head) if not same(old[-1 - i], new[-1 - i])), shorter - head)
    middle = shorter - tail
    kept = [(i, old[i], new[i]) for i in range(middle)]
    kept += [(i, old[i], old[i]) for i in range(len(members) - tail, len(members))]
    return kept, [(middle - 1, None, value) for value in new[middle : len(new) - tail]]
