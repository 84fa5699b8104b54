"""Mapping HTTP errors of model endpoints: status, headers and body to one typed error. Pure.

The body is parsed in missy.net.error_body and classified in missy.net.error_meaning. Both are imported on use, so that
a successful call does not load them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.errors import MissyError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping


def from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    host: str,
    keyed: bool = True,
    model: str | None = None,
) -> MissyError:
    """Map a response with an HTTP error status to an error. `keyed`: a key was sent."""
    from missy.net.error_body import read_error_body
    from missy.providers.error_mapping import shown, to_error
    from missy.providers.error_pages import is_page, page_error

    request_id = shown(
        headers.get("x-request-id") or headers.get("x-oai-request-id") or headers.get("cf-ray") or ""
    )
    text = body.decode("utf-8-sig", "replace").strip()
    if is_page(headers, text):
        return page_error(status, headers, text, host=host, request_id=request_id, keyed=keyed)
    if 300 <= status < 400:
        return ProviderError(
            f"{host} redirects to {shown(headers.get('location', '')) or 'nowhere'}, which is not followed",
            hint="if you trust that address, write it as base_url",
            status=status,
            request_id=request_id,
        )
    found = read_error_body(text or _said_in_headers(headers))
    if found.fields.get("cloudflareerror"):
        code = f"error code: {found.fields.get('errorcode', status)}"
        return page_error(
            status, headers, code, host=host, request_id=request_id, keyed=keyed, said=found.message
        )
    return to_error(
        found,
        status=status,
        host=host,
        request_id=request_id,
        headers=headers,
        keyed=keyed,
        model=model,
    )


def _said_in_headers(headers: Mapping[str, str]) -> str:
    """Return the complaint that ChatGPT's backend puts into headers, where the body is empty."""
    import base64

    packed = headers.get("x-error-json", "")[:8192]
    try:
        told = base64.b64decode(packed, validate=True).decode()
    except ValueError:
        told = ""
    return told or headers.get("x-openai-authorization-error", "")


def from_answer(
    data: Any, *, host: str, request_id: str | None, model: str | None = None, limits: Any = None
) -> MissyError:
    """Map an error that came with a status of success, as the whole response or inside a stream.

    `limits` are the rate limits that the stream gave before: their reset is used if the error has none.
    """
    from missy.net.error_body import ErrorBody
    from missy.providers.error_mapping import to_error

    body = ErrorBody(data)
    if isinstance(limits, dict):
        from missy.net.waits import full_windows_reset

        wait = full_windows_reset(limits)
        if wait is not None:
            body.fields.setdefault("resetsinseconds", wait)
    return to_error(body, status=None, host=host, request_id=request_id, model=model)
