"""Every way in which Missy can fail, with what to do about it.

MissyError                      1   a fault of Missy's own, or of the machine under it
 +- UsageError                  2   wrong use of the command or the library
 |   +- ConfigError             2   the configuration: names file, line and key
 +- PolicyError                 3   the policy refused: nothing was sent
 +- CredentialError             4   no credential, or it was refused, or a new login is needed
 +- ProviderError               5   the provider failed: an HTTP error, a broken reply
 |   +- ConnectionFailed        5   no connection, or it broke
 |   +- TimedOut                5   no data for `timeout`, no progress for `patience`, or the `deadline` passed
 |   +- BadReply                5   the reply violates the protocol
 |   +- LimitError              7   a rate or usage limit; `resets_at` if the server sent it
 +- BudgetError                 7   the call could pass a spending limit: nothing was sent
 +- IncompleteError             6   an answer came, but not all of it
     +- SchemaMismatch          6   an answer came, and does not fit the schema that was asked for
"""

from __future__ import annotations


class MissyError(Exception):
    """The root of the tree.

    `message` says what happened, `hint` what to do about it, each in one line; `status` is the HTTP status and
    `request_id` the server's id of the request, if there was one.
    """

    exit_code: int = 1
    type: str = "internal"
    usual_hint: str = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint: str = hint or self.usual_hint
        self.status = status
        self.request_id = request_id

    def __str__(self) -> str:
        return self.message


class UsageError(MissyError):
    """Wrong use of the command line or the library."""

    exit_code = 2
    type = "usage"


class ConfigError(UsageError):
    """The configuration cannot be used. `file`, `line` (from 1) and `key` (dotted) say where."""

    type = "config"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        file: str | None = None,
        line: int | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line
        self.key = key


class PolicyError(MissyError):
    """The policy refused a connection. No socket was opened and no name was looked up unless `rule` says addresses."""

    exit_code = 3
    type = "policy"

    def __init__(self, message: str, *, hint: str = "", rule: str = "", host: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
        self.host = host


class CredentialError(MissyError):
    """There is no credential for this endpoint, or the endpoint refused it."""

    exit_code = 4
    type = "credential"


class ProviderError(MissyError):
    """The endpoint answered with an error. `code` is the server's own name for it; `retry_after` is in seconds.

    `lasting`: the same request cannot succeed later; `params`: the request parameters that the server names as wrong;
    `in_answer`: the endpoint had begun to answer.
    """

    exit_code = 5
    type = "provider"
    usual_hint = "the fault is at the endpoint: try again later"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        request_id: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        lasting: bool = False,
        params: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint, status=status, request_id=request_id)
        self.code = code
        self.retry_after = retry_after
        self.lasting = lasting
        self.params = params
        self.in_answer = False


class ConnectionFailed(ProviderError):
    """No connection could be made, or it broke before the answer began. `unsent`: nothing was sent over it."""

    type = "connection"
    unsent = False
    usual_hint = "try again; missy doctor shows which step fails"


class TimedOut(ProviderError):
    """No data for `timeout` seconds, no progress for `patience`, or the whole answer took longer than `deadline`."""

    type = "timeout"
    usual_hint = "raise timeout (or --timeout) if the endpoint is slow"


class BadReply(ProviderError):
    """The reply violates the protocol, or one of our limits."""

    type = "bad_reply"
    usual_hint = "the fault is at the endpoint: ask again, or ask another one"


class BudgetError(MissyError):
    """The call could pass a spending limit, so it was not sent.

    `spent` and `limit` are in US dollars: what counts towards the limit so far, reservations included, and the limit.
    `spent` is None where the price of the call is not known. `resets_at` is in Unix seconds, for a limit of a day.
    """

    exit_code = 7
    type = "budget"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        spent: float | None = None,
        limit: float | None = None,
        resets_at: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.spent = spent
        self.limit = limit
        self.resets_at = resets_at


class IncompleteError(MissyError):
    """An answer came, but it is incomplete: cut off, over the length limit, filtered or empty.

    `text` is the text that was held back, because the answer had to fit a schema.
    """

    exit_code = 6
    type = "incomplete"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        finish_reason: str | None = None,
        request_id: str | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, request_id=request_id)
        self.finish_reason = finish_reason
        self.model = model
        self.text = ""


class SchemaMismatch(IncompleteError):
    """The answer does not fit its schema. `faults` are (JSON pointer, what is wrong there); `text` is what came.

    `refusal`: the model refused, and gave no JSON.
    """

    type = "schema_mismatch"
    usual_hint = "ask again, ask another model, or say more in the schema's descriptions"

    def __init__(
        self, message: str, *, hint: str = "", faults: tuple[tuple[str, str], ...] = (), text: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.faults = faults
        self.text = text
        self.refusal = False


class LimitError(ProviderError):
    """A rate or usage limit. `resets_at` is in Unix seconds, None if the server sent none."""

    exit_code = 7
    type = "limit"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        request_id: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        resets_at: float | None = None,
        lasting: bool = False,
    ) -> None:
        super().__init__(
            message,
            hint=hint,
            status=status,
            request_id=request_id,
            code=code,
            retry_after=retry_after,
            lasting=lasting,
        )
        self.resets_at = resets_at
