"""The cost of one streamed chunk in a warm process: `chunks.py missy|sdk URL CHUNKS`. Prints us of this thread's CPU."""

import sys
import time


def missy(_url):
    from missy import Missy

    assistant = Missy.open()
    return lambda: assistant.ask("hi", provider="long")


def sdk(url):
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key="none")
    messages = [{"role": "user", "content": "hi"}]
    return lambda: client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)


def measure(ask, chunks):
    """Return us for each chunk after the first, which pays for the request."""
    events = iter(ask())
    next(events)
    began = time.thread_time()
    came = sum(1 for _ in events)
    took = time.thread_time() - began
    assert came >= chunks - 1, came
    return took / (chunks - 1) * 1e6


if __name__ == "__main__":
    who, url, chunks = sys.argv[1:]
    ask = {"missy": missy, "sdk": sdk}[who](url)
    print(min(measure(ask, int(chunks)) for _ in range(4)))
