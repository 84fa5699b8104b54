"""The services that Missy knows by name: their endpoints, the hosts of their keys, and other requirements.

Only data and pure functions on it. Each service has a link to the documentation that it is taken from.
"""

from functools import lru_cache
from typing import NamedTuple


class Part(NamedTuple):
    """A part of a service's URL or headers that only the user knows; an `optional` one may be left out."""

    name: str
    question: str
    default: str = ""
    optional: bool = False


class Service(NamedTuple):
    """One service. `{name}` in the base URL or a header stands for the Part of that name.

    `variables` hold its users' key, the first one first: they go to `hosts` (and the names under them) and to no
    other. `keys` is the page where a key is made. With `bearer` False the key travels in `headers` instead.
    A `minor` one is not offered by the wizard, whose list is long enough.
    """

    title: str
    base_url: str
    variables: tuple[str, ...] = ()
    keys: str = ""
    hosts: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    api_key_header: str | None = None
    bearer: bool = True
    minor: bool = False

    @property
    def here(self) -> bool:
        """Whether it is a server on this machine (loopback)."""
        return self.base_url.startswith("http://localhost:")

    @property
    def variable(self) -> str:
        """The variable that its users keep their key in, "" if there is none."""
        return self.variables[0] if self.variables and self.bearer else ""

    @property
    def own_hosts(self) -> tuple[str, ...]:
        """The hosts to which its key may be sent."""
        return self.hosts or (self.base_url.partition("://")[2].partition("/")[0].partition(":")[0],)

    @property
    def url_parts(self) -> tuple[str, ...]:
        """The names of the parts in the base URL."""
        return tuple(part.name for part in self.parts if f"{{{part.name}}}" in self.base_url)

    @property
    def shown_url(self) -> str:
        """The base URL for display, with the user's parts in capitals."""
        return self.base_url.format(**{part.name: part.name.upper() for part in self.parts})

    def filled(self, values: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Return the base URL and the headers with their parts put in; a header whose part is "" is left out."""
        known = {part.name: values.get(part.name) or part.default for part in self.parts}
        headers = {name: text.format(**known) for name, text in self.headers if text.format(**known)}
        return self.base_url.format(**known), headers


OPENAI = Service(
    "OpenAI", "https://api.openai.com/v1", ("OPENAI_API_KEY",), "https://platform.openai.com/api-keys"
)

# The name of each is also the name that its entry gets, and for those with a fixed host that of its preset.
SERVICES: dict[str, Service] = {
    # https://console.groq.com/docs/openai
    "groq": Service(
        "Groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",), "https://console.groq.com/keys"
    ),
    # https://docs.together.ai/docs/openai-api-compatibility
    "together": Service(
        "Together AI",
        "https://api.together.xyz/v1",
        ("TOGETHER_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY"),
        "https://api.together.ai/settings/api-keys",
        hosts=("api.together.xyz", "api.together.ai"),
        aliases=("togetherai", "together-ai"),
    ),
    # https://openrouter.ai/docs/app-attribution: both headers are optional, and nothing is sent unless asked for
    "openrouter": Service(
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY", "OPEN_ROUTER_API_KEY"),
        "https://openrouter.ai/settings/keys",
        parts=(
            Part("referer", "The URL of your app, for its rankings:", optional=True),
            Part("title", "The name of your app, for its rankings:", optional=True),
        ),
        headers=(("HTTP-Referer", "{referer}"), ("X-Title", "{title}")),
        aliases=("open-router",),
    ),
    # https://docs.mistral.ai/api
    "mistral": Service(
        "Mistral",
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY", "MISTRALAI_API_KEY"),
        "https://console.mistral.ai/api-keys",
        aliases=("mistralai", "mistral-ai"),
    ),
    # https://api-docs.deepseek.com
    "deepseek": Service(
        "DeepSeek",
        "https://api.deepseek.com/v1",
        ("DEEPSEEK_API_KEY",),
        "https://platform.deepseek.com/api_keys",
    ),
    # https://docs.x.ai/docs/api-reference
    "xai": Service(
        "xAI",
        "https://api.x.ai/v1",
        ("XAI_API_KEY", "X_AI_API_KEY", "GROK_API_KEY"),
        "https://console.x.ai",
        aliases=("grok", "x-ai"),
    ),
    # https://docs.fireworks.ai/tools-sdks/openai-compatibility
    "fireworks": Service(
        "Fireworks AI",
        "https://api.fireworks.ai/inference/v1",
        ("FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_API_KEY"),
        "https://app.fireworks.ai/settings/users/api-keys",
        aliases=("fireworksai", "fireworks-ai"),
    ),
    # https://inference-docs.cerebras.ai/resources/openai
    "cerebras": Service(
        "Cerebras", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",), "https://cloud.cerebras.ai"
    ),
    # https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle (v1: no api-version is needed)
    "azure": Service(
        "Azure OpenAI (v1)",
        "https://{resource}.openai.azure.com/openai/v1",
        ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY", "AZURE_AI_API_KEY"),
        "https://portal.azure.com",
        hosts=("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com"),
        parts=(Part("resource", "Host of the resource (NAME.openai.azure.com):"),),
        aliases=("azure-openai", "azureopenai"),
        api_key_header="api-key",
    ),
    # https://platform.claude.com/docs/en/api/openai-sdk
    "anthropic": Service(
        "Anthropic",
        "https://api.anthropic.com/v1",
        ("ANTHROPIC_API_KEY", "CLAUDE_API_KEY"),
        "https://platform.claude.com/settings/keys",
        aliases=("claude",),
    ),
    # https://ai.google.dev/gemini-api/docs/openai
    "gemini": Service(
        "Google Gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "https://aistudio.google.com/apikey",
        aliases=("google", "google-gemini"),
    ),
    # https://docs.cohere.com/docs/compatibility-api
    "cohere": Service(
        "Cohere",
        "https://api.cohere.ai/compatibility/v1",
        ("COHERE_API_KEY", "CO_API_KEY"),
        "https://dashboard.cohere.com/api-keys",
        hosts=("api.cohere.ai", "api.cohere.com"),
        minor=True,
    ),
    # https://docs.perplexity.ai/guides/chat-completions-guide
    "perplexity": Service(
        "Perplexity",
        "https://api.perplexity.ai",
        ("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
        "https://www.perplexity.ai/account/api/keys",
        aliases=("pplx",),
        minor=True,
    ),
    # https://docs.api.nvidia.com/nim/reference/llm-apis
    "nvidia": Service(
        "NVIDIA NIM",
        "https://integrate.api.nvidia.com/v1",
        ("NVIDIA_API_KEY", "NIM_API_KEY"),
        "https://build.nvidia.com/settings/api-keys",
        aliases=("nim",),
        minor=True,
    ),
    # https://deepinfra.com/docs/openai_api
    "deepinfra": Service(
        "DeepInfra",
        "https://api.deepinfra.com/v1/openai",
        ("DEEPINFRA_API_KEY",),
        "https://deepinfra.com/dash/api_keys",
        minor=True,
    ),
    # https://docs.sambanova.ai
    "sambanova": Service(
        "SambaNova",
        "https://api.sambanova.ai/v1",
        ("SAMBANOVA_API_KEY",),
        "https://cloud.sambanova.ai/apis",
        minor=True,
    ),
    # https://platform.moonshot.ai/docs
    "moonshot": Service(
        "Moonshot AI",
        "https://api.moonshot.ai/v1",
        ("MOONSHOT_API_KEY", "KIMI_API_KEY"),
        "https://platform.moonshot.ai/console/api-keys",
        hosts=("api.moonshot.ai", "api.moonshot.cn"),
        aliases=("kimi",),
        minor=True,
    ),
    # https://huggingface.co/docs/inference-providers
    "huggingface": Service(
        "Hugging Face",
        "https://router.huggingface.co/v1",
        ("HUGGINGFACE_API_KEY", "HF_API_KEY", "HUGGING_FACE_API_KEY"),
        "https://huggingface.co/settings/tokens",
        aliases=("hf", "hugging-face"),
        minor=True,
    ),
    # https://portkey.ai/docs/api-reference/inference-api/headers
    "portkey": Service(
        "Portkey gateway",
        "https://api.portkey.ai/v1",
        ("PORTKEY_API_KEY",),
        "https://app.portkey.ai/api-keys",
        parts=(Part("provider", "Provider behind it (openai, anthropic, ... or @SLUG):"),),
        headers=(("x-portkey-api-key", "$PORTKEY_API_KEY"), ("x-portkey-provider", "{provider}")),
        bearer=False,
    ),
    # https://developers.cloudflare.com/ai-gateway/usage/chat-completion/ and .../configuration/authentication/
    "cloudflare": Service(
        "Cloudflare AI gateway",
        "https://gateway.ai.cloudflare.com/v1/{account}/{gateway}/compat",
        ("CLOUDFLARE_API_KEY", "CF_API_KEY"),
        "https://dash.cloudflare.com/profile/api-tokens",
        parts=(Part("account", "Cloudflare account id:"), Part("gateway", "Name of the gateway:", "default")),
        headers=(("cf-aig-authorization", "Bearer $CF_AIG_TOKEN"),),
        aliases=("cloudflare-ai-gateway",),
        bearer=False,
    ),
    "ollama": Service("Ollama, on this machine", "http://localhost:11434/v1"),
    "lmstudio": Service("LM Studio, on this machine", "http://localhost:1234/v1", aliases=("lm-studio",)),
    "vllm": Service("vLLM, on this machine", "http://localhost:8000/v1"),
    "llamacpp": Service(
        "llama.cpp, on this machine", "http://localhost:8080/v1", aliases=("llama-cpp", "llama.cpp")
    ),
}

# Every variable that is bound to the hosts of one service, whatever the entry's name makes of it.
BOUND = frozenset(name for one in (OPENAI, *SERVICES.values()) for name in one.variables)


def of_url(base_url: str | None) -> Service | None:
    """Return the service of a base URL, None for an unknown one."""
    wanted = (base_url or OPENAI.base_url).rstrip("/")
    return next((one for one in (OPENAI, *SERVICES.values()) if one.base_url == wanted), None)


@lru_cache(maxsize=256)  # it is asked several times for each request
def of_host(host: str) -> Service | None:
    """Return the service of a host, also of a regional subdomain; None for an unknown one."""
    return next((one for one in (OPENAI, *SERVICES.values()) if _is_own(one, host)), None)


def _is_own(service: Service, host: str) -> bool:
    return not service.here and any(host == own or host.endswith("." + own) for own in service.own_hosts)


def named(name: str) -> str | None:
    """Return the service that an entry's name stands for, None if it stands for none. `openai` is only OpenAI."""
    wanted = name.lower().replace("_", "-")
    if wanted in SERVICES:
        return wanted
    return next((key for key, one in SERVICES.items() if wanted in one.aliases), None)
