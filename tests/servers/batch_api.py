"""A simulator of a provider's Batch API: files, batches, results in another order, an error file, and missing files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.servers.origin import Origin, Request, Wire
from tests.servers.replies import chat_error, json_response, response

_PART = re.compile(rb'filename="([^"]+)"\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--', re.DOTALL)


class BatchApi:
    """An Origin that has the API. `state` is that of new batches; `finish` answers their rows.

    `on_create` is called after a batch was made and before it is answered.
    """

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.deleted: list[str] = []
        self.uploads = 0
        self.on_create: Callable[[], None] = lambda: None
        self.origin = Origin(self._answer)
        self.url = self.origin.url

    def close(self) -> None:
        """Stop the server."""
        self.origin.close()

    def finish(
        self, reply: Callable[[dict[str, Any]], dict[str, Any] | None], status: str = "completed"
    ) -> None:
        """End every batch: `reply` gives a row's response (status_code and body), None for a row without one."""
        for batch in self.batches.values():
            rows = [json.loads(line) for line in self.files[batch["input_file_id"]][1].splitlines()]
            good, bad = [], []
            for row in reversed(rows):
                told = reply(row)
                if told is not None:
                    line = {"id": "r", "custom_id": row["custom_id"], "response": told, "error": None}
                    (good if told["status_code"] == 200 else bad).append(json.dumps(line))
            batch["status"] = status
            for key, lines in (("output_file_id", good), ("error_file_id", bad)):
                if lines:
                    batch[key] = self._keep(f"{key}.jsonl", "\n".join(lines).encode())

    def _keep(self, name: str, data: bytes) -> str:
        id_ = f"file-{len(self.files)}"
        self.files[id_] = (name, data)
        return id_

    def _answer(self, request: Request, wire: Wire) -> bytes:
        path = request.path.partition("?")[0].removeprefix("/v1")
        match request.method, path.strip("/").split("/"):
            case "POST", ["files"]:
                found = _PART.search(request.body)
                assert found is not None
                self.uploads += 1
                return json_response(self._file(self._keep(found[1].decode(), found[2])))
            case "GET", ["files"]:
                there = [self._file(id_) for id_ in self.files if id_ not in self.deleted]
                return json_response({"object": "list", "data": there, "has_more": False})
            case "GET", ["files", id_, "content"]:
                return response(200, self.files[id_][1], kind="application/octet-stream")
            case "DELETE", ["files", id_]:
                self.deleted.append(id_)
                return json_response({"id": id_, "object": "file", "deleted": True})
            case "POST", ["batches"]:
                id_ = f"batch-{len(self.batches)}"
                made = {
                    "id": id_,
                    "object": "batch",
                    "status": "in_progress",
                    "created_at": 1,
                    **request.json(),
                }
                self.batches[id_] = made
                self.on_create()
                return json_response(made)
            case "GET", ["batches"]:
                return json_response(
                    {"object": "list", "data": list(self.batches.values()), "has_more": False}
                )
            case "GET", ["batches", id_]:
                return json_response(self.batches[id_])
            case "POST", ["batches", id_, "cancel"]:
                self.batches[id_]["status"] = "cancelled"
                return json_response(self.batches[id_])
        return chat_error(404, f"no {path}")

    def _file(self, id_: str) -> dict[str, Any]:
        name, data = self.files[id_]
        told = {"id": id_, "object": "file", "bytes": len(data), "created_at": 1, "filename": name}
        return {**told, "purpose": "batch", "status": "processed"}
