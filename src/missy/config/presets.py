"""The presets that `network.presets` can name: hosts, as data. A preset opens exactly what it lists."""

from __future__ import annotations

from typing import NamedTuple


class Preset(NamedTuple):
    """The hosts (with a port where it is not 443) that a preset opens, and what it is for."""

    hosts: tuple[str, ...]
    note: str


def _here(port: int) -> tuple[str, ...]:
    return (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}")


PRESETS: dict[str, Preset] = {
    "openai": Preset(("api.openai.com",), "base_url https://api.openai.com/v1"),
    "groq": Preset(("api.groq.com",), "base_url https://api.groq.com/openai/v1"),
    "together": Preset(("api.together.xyz", "api.together.ai"), "base_url https://api.together.xyz/v1"),
    "openrouter": Preset(("openrouter.ai",), "base_url https://openrouter.ai/api/v1"),
    "mistral": Preset(("api.mistral.ai",), "base_url https://api.mistral.ai/v1"),
    "deepseek": Preset(("api.deepseek.com",), "base_url https://api.deepseek.com/v1"),
    "xai": Preset(("api.x.ai",), "base_url https://api.x.ai/v1"),
    "fireworks": Preset(("api.fireworks.ai",), "base_url https://api.fireworks.ai/inference/v1"),
    "cerebras": Preset(("api.cerebras.ai",), "base_url https://api.cerebras.ai/v1"),
    "ollama": Preset(_here(11434), "Ollama on this machine: base_url http://localhost:11434/v1"),
    "lmstudio": Preset(_here(1234), "LM Studio on this machine: base_url http://localhost:1234/v1"),
    "vllm": Preset(_here(8000), "vLLM on this machine: base_url http://localhost:8000/v1"),
    "llamacpp": Preset(_here(8080), "llama-server on this machine: base_url http://localhost:8080/v1"),
    "github": Preset(
        ("github.com", "api.github.com", "raw.githubusercontent.com", "codeload.github.com"),
        "GitHub: its pages, its API, files and archives",
    ),
}
