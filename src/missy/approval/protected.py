"""Paths in a workspace that a general rule does not cover: secrets, and files that are run later, outside of the sandbox."""

from __future__ import annotations

from fnmatch import fnmatchcase

_SECRETS = (
    ".env*", "*.pem", "*.key", "*.p12", "*.pfx", "id_*", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass",
    ".git-credentials", "credentials", "credentials.json", "*.kdbx", "auth.json",
)  # fmt: skip
# Folders and files whose content runs without a question: by git, an editor, a shell, a CI service, or Missy.
_RUN_LATER_FOLDERS = (
    ".git",
    ".vscode",
    ".idea",
    ".missy",
    ".husky",
    ".devcontainer",
    ".circleci",
    ".buildkite",
)
_RUN_LATER_PATHS = (".github/workflows", ".github/actions", ".gitlab", ".config/git")
_RUN_LATER_NAMES = (
    ".envrc", ".mcp.json", ".gitmodules", ".gitattributes", ".gitconfig", ".gitlab-ci.yml", ".gitlab-ci.yaml",
    ".travis.yml", "azure-pipelines.yml", "jenkinsfile", ".drone.yml", ".pre-commit-config.yaml", ".lefthook.yml",
    "lefthook.yml", "sitecustomize.py", "usercustomize.py", ".bashrc", ".bash_profile", ".profile", ".zshrc", ".zshenv",
    ".envrc.local", ".tool-versions", "mise.toml", ".mise.toml", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs",
    ".git", ".code-workspace",
)  # fmt: skip


def holds_secret(path: str) -> bool:
    """Tell whether the name of a file says that it holds a secret. Case is ignored: some file systems do."""
    name = path.lower().rpartition("/")[2]
    return any(fnmatchcase(name, pattern) for pattern in _SECRETS)


def runs_later(path: str) -> bool:
    """Tell whether what is written there runs later, outside of the sandbox and without a question."""
    parts = path.lower().split("/")
    if parts[-1] in _RUN_LATER_NAMES or parts[-1].endswith((".pth", ".code-workspace")):
        return True
    if any(part in _RUN_LATER_FOLDERS for part in parts):
        return True
    whole = "/" + "/".join(parts) + "/"
    return any(f"/{path}/" in whole for path in _RUN_LATER_PATHS)
