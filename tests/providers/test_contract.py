"""The contract of a provider: what holds whoever answers, for sync and for async code.

A new kind of provider is added to `tests.providers.subjects.SUBJECTS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Self

import pytest

import missy as library
from missy import Done, IncompleteError, MissyError, Text, Usage, UsageError
from tests.attachments.samples import PDF, PNG
from tests.providers.subjects import SUBJECTS, USAGE, Subject

pytest_plugins = ["tests.local.live"]
FILES = {
    "image": library.Attachment(PNG, "image/png", "dot.png"),
    "pdf": library.Attachment(PDF, "application/pdf", "a.pdf"),
}
NOTE = library.Attachment(b"a note", "text/plain", "note.txt")


class Face:
    """Missy or AsyncMissy, driven alike: `take` collects an answer's events, its error in the end."""

    def __init__(self, *, is_async: bool) -> None:
        self._is_async = is_async
        self.m: Any

    async def __aenter__(self) -> Self:
        self.m = library.AsyncMissy.open() if self._is_async else library.Missy.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._settle(self.m.aclose() if self._is_async else self.m.close())

    async def _settle(self, value: Any) -> Any:
        return await value if isinstance(value, Coroutine) or hasattr(value, "__await__") else value

    async def take(self, answer: Any) -> tuple[list[Any], MissyError | None]:
        """Take an answer to its end, whatever that is."""
        events: list[Any] = []
        try:
            if self._is_async:
                async for event in answer:
                    events.append(event)  # noqa: PERF401  an error may come after some
            else:
                events.extend(answer)
        except MissyError as error:
            return events, error
        return events, None

    async def stop(self, answer: Any) -> None:
        """Close an answer after its first text."""
        if self._is_async:
            async for event in answer:
                if isinstance(event, Text):
                    break
            await answer.aclose()
            return
        for event in answer:
            if isinstance(event, Text):
                break
        answer.close()

    async def session(self) -> Any:
        """Return a new session that is stored nowhere."""
        return await self._settle(self.m.session(save=False))

    async def turns(self, session: Any) -> list[Any]:
        """Return the turns of a session."""
        found: list[Any] = await session.turns() if self._is_async else session.turns
        return found


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.live if name == "local" else ()) for name in SUBJECTS]
)
def subject(request: pytest.FixtureRequest, missy: Any, serve: Any) -> Subject:
    """Each provider in turn."""
    made = SUBJECTS[request.param]
    return made(missy, serve, request.getfixturevalue(made.needs) if made.needs else None)


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run a scenario with Missy or AsyncMissy."""

    def start(scenario: Callable[[Face], Coroutine[Any, Any, Any]]) -> Any:
        async def inside() -> Any:
            async with Face(is_async=request.param == "async") as face:
                return await scenario(face)

        return asyncio.run(inside())

    return start


def text_of(events: list[Any]) -> str:
    """Return the text of an answer's events."""
    return "".join(event.text for event in events if isinstance(event, Text))


class TestContract:
    """What every provider does."""

    def test_an_answer_comes_in_pieces_and_ends_with_done(self, subject: Subject, run: Any) -> None:
        """Text as it arrives, the usage, and Done as the last event; the answer has them too."""
        subject.answer("hello")

        async def scenario(face: Face) -> None:
            answer = face.m.ask("Say hello.", max_tokens=40 if subject.is_scripted else None)
            events, error = await face.take(answer)
            assert error is None
            assert isinstance(events[-1], Done)
            assert sum(isinstance(event, Done) for event in events) == 1
            assert sum(isinstance(event, Text) for event in events) >= 2
            assert text_of(events) == answer.so_far
            assert answer.so_far.strip()
            assert answer.usage is not None
            used = (answer.usage.input_tokens, answer.usage.output_tokens)
            assert used == USAGE if subject.is_scripted else all(used)
            assert [event for event in events if isinstance(event, Usage)] == [answer.usage]
            assert answer.ttft_ms is not None
            assert (answer.fallback_from, answer.tool_calls, answer.citations) == (None, [], [])
            if subject.is_scripted:
                assert answer.so_far == "hello"
                assert subject.said() == [("user", "Say hello.")]

        run(scenario)

    def test_a_session_sends_its_turns_along(self, subject: Subject, run: Any) -> None:
        """The second question goes with the first one and its answer."""
        subject.answer("hello", "again")

        async def scenario(face: Face) -> None:
            session = await face.session()
            events, error = await face.take(session.ask("One word: yes or no?"))
            assert error is None
            first = text_of(events)
            events, error = await face.take(session.ask("And now?"))
            assert error is None
            turns = await face.turns(session)
            assert [(turn.prompt, turn.state) for turn in turns] == [
                ("One word: yes or no?", "whole"),
                ("And now?", "whole"),
            ]
            assert [turn.answer for turn in turns] == [first, text_of(events)]
            if subject.is_scripted:
                asked = [("user", "One word: yes or no?"), ("assistant", "hello"), ("user", "And now?")]
                assert subject.said() == asked

        run(scenario)

    def test_an_answer_that_is_stopped_keeps_its_part(self, subject: Subject, run: Any) -> None:
        """Closing an answer ends its connection; the part stays, as `stopped`, and the next question is answered."""
        gate = subject.hold("half")

        async def scenario(face: Face) -> None:
            session = await face.session()
            answer = session.ask("Tell me a long story.")
            await face.stop(answer)
            gate.open()
            part = answer.so_far
            assert part
            _, error = await face.take(session.ask("And now?"))
            assert error is None
            turns = await face.turns(session)
            assert [turn.state for turn in turns] == ["stopped", "whole"]
            assert turns[0].answer == part
            if subject.is_scripted:
                assert part == "half"
                subject.wait_stopped()
                assert subject.said()[1] == ("assistant", "half")

        run(scenario)

    def test_a_cut_answer_is_never_a_whole_one(self, subject: Subject, run: Any) -> None:
        """An answer that breaks off raises IncompleteError (6), has no Done, and keeps what came."""
        subject.cut("half")

        async def scenario(face: Face) -> None:
            answer = face.m.ask("Tell me a long story.", **subject.cut_options)
            events, error = await face.take(answer)
            assert isinstance(error, IncompleteError)
            assert error.exit_code == 6
            assert not [event for event in events if isinstance(event, Done)]
            assert answer.done is None
            assert answer.so_far == text_of(events) != ""

        run(scenario)

    @pytest.mark.parametrize("kind", FILES)
    def test_a_file_goes_along_or_is_refused_by_name(self, kind: str, subject: Subject, run: Any) -> None:
        """A kind of file that the entry accepts is a part of the message; any other is a UsageError that names it."""
        subject.answer("seen")

        async def scenario(face: Face) -> None:
            file = FILES[kind]
            if kind not in subject.accepts:
                with pytest.raises(UsageError, match=file.name):
                    face.m.ask("look", attachments=[file])
                return
            _, error = await face.take(face.m.ask("look", attachments=[file]))
            assert error is None
            prompt, part = subject.parts()
            assert prompt["text"] == "look"
            assert "base64," in str(part)

        run(scenario)

    def test_a_text_goes_to_everybody(self, subject: Subject, run: Any) -> None:
        """A text file is a part of the question, with its name, for every provider."""
        subject.answer("seen")

        async def scenario(face: Face) -> None:
            _, error = await face.take(face.m.ask("One word.", attachments=[NOTE]))
            assert error is None
            if subject.is_scripted:
                assert "note.txt\n```\na note\n```" in subject.said()[-1][1]

        run(scenario)

    def test_wrong_use_is_refused_before_anything_is_sent(self, subject: Subject, run: Any) -> None:
        """An empty prompt, an impossible temperature and an unknown option are UsageErrors at the call itself."""
        subject.answer("x")

        async def scenario(face: Face) -> None:
            for prompt, options in (
                (" ", {}),
                ("hi", {"temperature": 3}),
                ("hi", {"temprature": 1}),
                ("hi", {"role": "x"}),
            ):
                with pytest.raises(UsageError):
                    face.m.ask(prompt, **options)
            if subject.is_scripted:
                assert not subject.was_asked()

        run(scenario)
