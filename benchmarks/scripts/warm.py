"""One request after the other in a warm process: `warm.py missy|sdk streamed|whole URL COUNT`. Prints us of CPU each."""

import sys
import time

_BATCH = 25


def missy(_url, streamed):
    from missy import Missy

    assistant = Missy.open()
    return lambda: assistant.ask("hi", provider="one", stream=streamed).text()


def sdk(url, streamed):
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key="none")
    create, messages = client.chat.completions.create, [{"role": "user", "content": "hi"}]
    if not streamed:
        return lambda: create(model="gpt-4o", messages=messages).choices[0].message.content
    return lambda: "".join(
        chunk.choices[0].delta.content or ""
        for chunk in create(model="gpt-4o", messages=messages, stream=True)
        if chunk.choices
    )


def measure(ask):
    """Return us of CPU a request, over one batch."""
    began = time.process_time()
    for _ in range(_BATCH):
        assert ask()
    return (time.process_time() - began) / _BATCH * 1e6


if __name__ == "__main__":
    who, how, url, count = sys.argv[1:]
    ask = {"missy": missy, "sdk": sdk}[who](url, how == "streamed")
    measure(ask)
    print(min(measure(ask) for _ in range(max(2, int(count) // _BATCH))))
