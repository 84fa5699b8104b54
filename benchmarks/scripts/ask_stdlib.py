"""The same on the standard library alone: what no Python client can go below."""

import json
import sys
from http.client import HTTPConnection  # noqa: TID251
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": True}
connection = HTTPConnection(url.hostname, url.port)
headers = {"Content-Type": "application/json"}
connection.request("POST", url.path + "/chat/completions", json.dumps(body), headers)
for line in connection.getresponse():
    if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
        choices = json.loads(line[6:])["choices"]
        if choices:
            print(choices[0]["delta"].get("content") or "", end="", flush=True)
print()
