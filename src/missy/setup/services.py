"""The services and servers that speak Chat Completions and that `missy setup` knows by name: data, nothing else."""

from __future__ import annotations

from typing import NamedTuple


class Service(NamedTuple):
    """One service: `variable` is where its users keep its key, "" if it needs none; `keys` is the page to get one.

    `{host}` in the base URL is a part that only the user knows.
    """

    title: str
    base_url: str
    variable: str = ""
    keys: str = ""

    @property
    def here(self) -> bool:
        """Whether it is a server on this machine."""
        return self.base_url.startswith("http://localhost:")


OPENAI = Service(
    "OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY", "https://platform.openai.com/api-keys"
)

# The name of each is also the name that its entry gets, and for those with a fixed host that of its preset.
SERVICES: dict[str, Service] = {
    "groq": Service(
        "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "https://console.groq.com/keys"
    ),
    "together": Service(
        "Together AI",
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
        "https://api.together.ai/settings/api-keys",
    ),
    "openrouter": Service(
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        "https://openrouter.ai/settings/keys",
    ),
    "mistral": Service(
        "Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "https://console.mistral.ai/api-keys"
    ),
    "deepseek": Service(
        "DeepSeek",
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
        "https://platform.deepseek.com/api_keys",
    ),
    "xai": Service("xAI", "https://api.x.ai/v1", "XAI_API_KEY", "https://console.x.ai"),
    "fireworks": Service(
        "Fireworks AI",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        "https://app.fireworks.ai/settings/users/api-keys",
    ),
    "cerebras": Service(
        "Cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", "https://cloud.cerebras.ai"
    ),
    "azure": Service(
        "Azure OpenAI (v1)",
        "https://{host}/openai/v1",
        "AZURE_OPENAI_API_KEY",
        "https://portal.azure.com",
    ),
    "ollama": Service("Ollama, on this machine", "http://localhost:11434/v1"),
    "lmstudio": Service("LM Studio, on this machine", "http://localhost:1234/v1"),
    "vllm": Service("vLLM, on this machine", "http://localhost:8000/v1"),
    "llamacpp": Service("llama.cpp, on this machine", "http://localhost:8080/v1"),
}


def of_url(base_url: str | None) -> Service | None:
    """Return the service that a base URL is of, None for one that is not known."""
    wanted = (base_url or OPENAI.base_url).rstrip("/")
    return next((one for one in (OPENAI, *SERVICES.values()) if one.base_url == wanted), None)
