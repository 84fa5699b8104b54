"""What an endpoint of the Responses format expects of a request. Pure."""

from __future__ import annotations

from typing import NamedTuple


class ResponsesProfile(NamedTuple):
    """How a request is put.

    `title` names the endpoint in messages. `fields` are the only ones that are sent: what is not known to be accepted
    stays out. `instructions` are sent where the caller gives none, "": none are. `tools_in_input`: the tools are an item
    of the input. `models_query` is added to the request for the list of models.
    """

    title: str
    fields: frozenset[str]
    instructions: str = ""
    tools_in_input: bool = False
    models_query: str = ""
