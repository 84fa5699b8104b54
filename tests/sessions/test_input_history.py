"""The history of typed lines, in its file: what stays when it grows, and what a deletion removes."""

from __future__ import annotations

from missy.sessions.input_history import MAX_LINE_CHARS, MAX_LINES, InputHistory


def test_a_deleted_prompt_goes_however_old_it_is(home):
    """A prompt that is too old to be recalled is removed from the file, too."""
    history = InputHistory()
    history.append("CANARYzq7 prompt")
    with open(home / "run-history.jsonl", "a") as file:
        file.writelines(f'"line {number}"\n' for number in range(MAX_LINES))
    assert len(history.lines()) == MAX_LINES
    history.forget(["CANARYzq7 prompt"])
    assert "CANARYzq7" not in (home / "run-history.jsonl").read_text()
    assert history.lines()[0] == "line 0"


def test_of_long_lines_the_newer_half_stays(home):
    """The file is bounded by bytes; a few hundred pasted texts do not empty it."""
    history = InputHistory()
    for number in range(200):
        history.append(f"{number} " + "x" * (MAX_LINE_CHARS - 10))
    kept = [int(line.split()[0]) for line in history.lines()]
    assert len(kept) > 50
    assert kept == list(range(kept[0], 200))
    assert (home / "run-history.jsonl").stat().st_size < 9 << 20
