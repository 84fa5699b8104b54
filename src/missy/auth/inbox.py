"""Receiving the result of a sign-in: from the browser's callback or from the keyboard, whichever is first."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Self

from missy.auth.callback import CallbackResult, NotOurs, read_paste
from missy.auth.refusals import sign_in_denied
from missy.errors import CredentialError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.auth.prompter import Prompter

SIGN_IN_SECONDS = 5 * 60.0  # for the user to sign in
PASTE = "paste the address that the browser shows at the end, or code#state, here"


class SignInInbox:
    """Collects the browser's callback and the user's input during a sign-in."""

    def __init__(self, prompter: Prompter) -> None:
        self._prompter = prompter
        self._arrived: queue.SimpleQueue[CallbackResult | str | None] = queue.SimpleQueue()
        self._early: str | None = None
        self._ended = False
        self._stop = prompter.listen(self._arrived.put)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop()

    def put(self, result: CallbackResult) -> None:
        """Accept the result from the browser's callback."""
        self._arrived.put(result)

    def wait(
        self,
        state: str,
        *,
        pasted_only: bool,
        timeout: float = SIGN_IN_SECONDS,
        redirect_uri: str | None = None,
        denied: Callable[[str, str], CredentialError] = sign_in_denied,
    ) -> CallbackResult:
        """Wait for the code of this sign-in. Raises CredentialError if it was refused or did not come in time.

        `timeout` is in seconds. A pasted address must begin with `redirect_uri`, where that is given. `denied` makes the
        error of a refusal.
        """
        end = time.monotonic() + timeout
        while True:
            arrived = self._next(end)
            if arrived is None:
                if pasted_only:
                    raise CredentialError("the input ended before an address was pasted", hint=PASTE)
                continue
            result = self._read(arrived, state, redirect_uri) if isinstance(arrived, str) else arrived
            if result is not None and result.code is None:
                raise denied(result.error, result.description)
            if result is not None:
                return result

    def confirm(self, question: str, timeout: float = SIGN_IN_SECONDS) -> bool:
        """Ask a yes/no question; the end of the input, or no answer in time, is a no."""
        self._prompter.notice(question)
        if self._early is not None:
            return self._early.startswith("y")
        end = time.monotonic() + timeout
        while not self._ended:
            try:
                arrived = self._next(end)
            except CredentialError:
                return False
            if isinstance(arrived, str):
                return arrived.lower() in ("y", "yes")
        return False

    def _next(self, end: float) -> CallbackResult | str | None:
        try:
            arrived = self._arrived.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            raise CredentialError(
                "the sign-in was not finished in time", hint="start again: missy auth login"
            ) from None
        self._ended = self._ended or arrived is None
        return arrived

    def _read(self, line: str, state: str, redirect_uri: str | None) -> CallbackResult | None:
        if line.lower() in ("y", "yes", "n", "no"):  # piped in before the question
            self._early = line.lower()
        elif line:
            try:
                return read_paste(line, state, redirect_uri)
            except NotOurs as error:
                self._prompter.notice(f"that is not the result of this sign-in: {error}")
        return None
