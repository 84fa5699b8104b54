"""Building model requests with the `openai` package: a template for a path, with placeholders for varying values.

The package supplies the method, the path, and the names, values and order of the headers, without its environment
variables and telemetry. Its requests are only built, never sent by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import httpx2

# Imported from the defining modules: `import openai` loads its other services too and takes twice the time.
from openai._base_client import SyncAPIClient
from openai._models import FinalRequestOptions
from openai._types import Omit

from missy.net.door import client_headers, client_options
from missy.providers.heads import PLAIN_HEADERS, Head

if TYPE_CHECKING:
    from missy.providers.heads import HeadKey


_HOST = "endpoint.invalid"  # stands for any host: the package makes the same for each


class _Builder(SyncAPIClient):
    """Builds requests as the package does, without its telemetry headers."""

    @property
    def default_headers(self) -> dict[str, Any]:
        return dict(PLAIN_HEADERS)

    def make(self, options: FinalRequestOptions) -> httpx2.Request:
        return self._build_request(options)


class _SendsNothing(httpx2.BaseTransport):
    def handle_request(self, request: httpx2.Request) -> NoReturn:
        raise AssertionError(f"a request was to be built, not sent: {request.method}")


def make_head(key: HeadKey) -> Head:
    """Build the request line and the headers of a call with the package."""
    places = {name: f"missy-place-{number}" for number, name in enumerate(key.names)}
    with httpx2.Client(transport=_SendsNothing(), headers=client_headers(), **client_options()) as client:
        builder = _Builder(
            version="", base_url=f"https://{_HOST}{key.base}", max_retries=0, timeout=None, http_client=client,
            _strict_response_validation=False,
        )  # fmt: skip
        options: dict[str, Any] = {"method": key.method, "url": key.path}
        options["headers"] = {"Authorization": Omit(), **places}
        if key.has_body:
            options["json_data"] = {}
        made = builder.make(FinalRequestOptions.construct(**options))
    back = {place: name for name, place in places.items()}
    headers: list[tuple[str, str | None]] = []
    for raw_name, raw_value in made.headers.raw:
        name, value = raw_name.decode("ascii"), raw_value.decode("ascii")
        if name.lower() not in ("host", "content-length") and not name.lower().startswith("x-stainless"):
            headers.append((name, None if value in back else value))
    return Head(made.method, made.url.raw_path.decode("ascii"), tuple(headers))
