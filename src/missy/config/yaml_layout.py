"""The layout of a YAML text: offsets of keys, values, lines and the comments that belong to them.

Pure. It uses PyYAML's marks and corrects them where they are wrong: the end of a block, the position of an alias.
"""

from __future__ import annotations

import re

import yaml

_ALIAS = re.compile(r"\s*\*[^\s,\[\]{}]+")


class CannotSplice(ValueError):
    """The text uses syntax that cannot be edited in place; `str()` says which."""


def _compose(text: str) -> yaml.Node | None:
    """Parse with PyYAML, whose marks are used here. It refuses some syntax that libyaml accepts, such as a tab after a
    colon.
    """
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}" if mark else "a line"
        raise CannotSplice(f"{where} uses rare YAML syntax ({error.problem})") from None


class Member:
    """A key of a mapping with its value, or an item of a sequence. The numbers are offsets into the text."""

    __slots__ = ("after", "end", "head", "key", "value")

    def __init__(self, key: str | None, value: yaml.Node, head: int, after: int, end: int) -> None:
        self.key: str | None = key
        self.value = value
        self.head: int = head  # start of the key, the dash, or the item in brackets
        self.after: int = after  # just after the colon or the dash
        self.end: int = end  # just after the last character of the value

    @property
    def alias(self) -> bool:
        """Whether the value is an alias: its marks are then those of its anchor, earlier in the text."""
        return bool(self.value.start_mark.index < self.after)


class Layout:
    """The layout of one YAML text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.first: int = int(text.startswith("\ufeff"))
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.root = _compose(text)
        self.step: int = self._find_step()

    def members(self, node: yaml.CollectionNode) -> list[Member]:
        """Return the members of a collection in the order of the text."""
        found: list[Member] = []
        offset = node.start_mark.index
        for item in node.value:
            keyed = isinstance(node, yaml.MappingNode)
            found.append(self._pair(*item) if keyed else self._item(item, offset, flow=bool(node.flow_style)))
            offset = found[-1].end
        return found

    def line(self, offset: int) -> int:
        """Return the start of the line that contains `offset`."""
        return max(self.text.rfind("\n", 0, offset) + 1, self.first)

    def next_line(self, offset: int) -> int:
        """Return the start of the line after the one that contains `offset`, or the end of the text."""
        found = self.text.find("\n", offset)
        return found + 1 if found >= 0 else len(self.text)

    def column(self, member: Member) -> int:
        """Return the column (from 0) in which a member starts."""
        return member.head - self.line(member.head)

    def own_line(self, member: Member) -> int:
        """Return the start of the member's line. Raises CannotSplice if the member is not the first on its line."""
        start = self.line(member.head)
        if self.text[start : member.head].strip():
            raise CannotSplice(f"several values are on line {self._number(start)}")
        return start

    def section_end(self, member: Member, column: int) -> int:
        """Return where a member's lines end, including the comments below it that start at `column` or deeper.

        After a blank line only comments deeper than the member count: others belong to what follows.
        """
        end = offset = self.next_line(member.end)
        while offset < len(self.text):
            after = self.next_line(offset)
            line = self.text[offset:after]
            bare = line.lstrip(" ")
            if bare.startswith("#") and len(line) - len(bare) >= column:
                end = after
            elif bare.strip():
                break
            else:
                column = max(column, self.column(member) + 1)
            offset = after
        return end

    def above(self, member: Member) -> int:
        """Return the offset above a member and its comment, but below a comment at the top of the file."""
        own = offset = self.line(member.head)
        while offset > self.first:
            start = self.line(offset - 1)
            if not self.text[start:offset].lstrip(" ").startswith("#"):
                return offset
            offset = start
        return own

    def _find_step(self) -> int:
        """Return the indentation width of the file, taken from its first nested block mapping, else 2."""
        for member in self.members(self.root) if isinstance(self.root, yaml.MappingNode) else ():
            node = member.value
            if not member.alias and isinstance(node, yaml.MappingNode) and not node.flow_style:
                return max(1, int(node.value[0][0].start_mark.column) - self.column(member))
        return 2

    def _pair(self, key: yaml.Node, value: yaml.Node) -> Member:
        after = self._find(":", key.end_mark.index) + 1
        return Member(key.value, value, key.start_mark.index, after, self._end(value, after))

    def _item(self, node: yaml.Node, offset: int, *, flow: bool) -> Member:
        start = node.start_mark.index
        if start < offset:  # an alias
            if flow:
                raise CannotSplice(f"a list on line {self._number(offset)} uses a YAML alias")
            head = self._find("-", offset)
            return Member(None, node, head, head + 1, self._end(node, head + 1))
        head = start if flow else self.text.rfind("-", offset, start)
        after = start if flow else head + 1
        return Member(None, node, head, after, self._end(node, after))

    def _end(self, node: yaml.Node, after: int) -> int:
        """Return where a node's content ends: the parser's end mark of a block comes after the comments below it."""
        if node.start_mark.index < after:
            alias = _ALIAS.match(self.text, after)
            if alias is None:
                raise CannotSplice(f"line {self._number(after)} uses a YAML alias")
            return alias.end()
        end = int(node.end_mark.index)
        if isinstance(node, yaml.CollectionNode):
            return end if node.flow_style else self.members(node)[-1].end
        block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
        return len(self.text[:end].rstrip()) if block else end

    def _find(self, mark: str, start: int) -> int:
        offset = self.text.find(mark, start)
        if offset < 0 or self.text[start:offset].strip():
            raise CannotSplice(f"line {self._number(start)} uses rare YAML syntax")
        return offset

    def _number(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1
