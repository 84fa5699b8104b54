"""What a plain script on the openai SDK does: one answer, streamed to stdout."""

import sys

from openai import OpenAI

client = OpenAI(base_url=sys.argv[1], api_key="none")
messages = [{"role": "user", "content": "hi"}]
for chunk in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
