"""Sign in with ChatGPT (SIWC): OpenAI's documented way for an app on this machine to use a ChatGPT plan."""
