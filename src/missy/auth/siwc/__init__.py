"""Sign in with ChatGPT (SIWC): OpenAI's documented way for an app on this machine to use a ChatGPT plan."""

from __future__ import annotations

USAGE_PAGE = "https://chatgpt.com/settings/usage"
SETTINGS = "ChatGPT > Settings > Apps"  # where a person disconnects an app
