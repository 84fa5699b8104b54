"""The same on httpx2 alone."""

import json
import sys

import httpx2

body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": True}
with (
    httpx2.Client() as client,
    client.stream("POST", sys.argv[1] + "/chat/completions", json=body) as response,
):
    for line in response.iter_lines():
        if line.startswith("data: ") and line != "data: [DONE]":
            choices = json.loads(line[6:])["choices"]
            if choices:
                print(choices[0]["delta"].get("content") or "", end="", flush=True)
print()
