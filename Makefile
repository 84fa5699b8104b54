# make demo    an answer from the model on this machine, no key needed: PROMPT="..." asks something else
# make demo-codex    a ChatGPT login from beginning to end, against a simulator: no account needed
# make demo-chatgpt  Sign in with ChatGPT from beginning to end, against a simulator: no account needed
# make demo-tools    the model reads and changes a file, and asks first: a scripted endpoint, no key needed
# make demo-batch    200 prompts with a kill in the middle, then five to the local model: no key needed
# make demo-serve    the gateway: a key, curl and the openai package to the model on this machine, the usage
# make test    lint, types and all tests, in parallel: WORKERS=4 (how many at once)
# make quick   the tests that wait for nothing and need no model: a few minutes on two cores
# make lint    ruff and the import rules
# make types   mypy
# make test-frameworks   langchain, pydantic-ai and others over lent clients, in an environment of their own
# make test-mcp   real MCP servers in the sandbox, from an environment of their own (needs npm); and codex, if it is on PATH
# make test-ray   bulk work over a real Ray cluster, in an environment of its own
# make frameworks-fit    which packages fit into one environment with Missy (needs uv): a table
# make bench   the benchmarks
# make test-lowest    the tests with the oldest dependencies that pyproject.toml allows
# make test-lowest-short  the tests that touch dependencies, of those: two to four minutes
# make readme  runs what README.md prints, from a fresh copy and in an empty home, and compares
# make coverage       all tests, and which lines of src no test ran: measured, not gated
# make dist          the wheel and the source archive, in dist/
# make lock    bring requirements/*.txt in line with pyproject.toml; UPGRADE=1 for the newest versions
# make clean   remove what the others made
#
# All of it stays in this folder: .venv, and .demo in place of ~/.missy. Each may be run again at any time.
PYTHON ?= python3
PROMPT ?= What is the capital of France?
VENV := .venv
FRAMEWORKS := .venv-frameworks
RAY := .venv-ray
MCP_SERVERS := .mcp-servers
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check install
LOCKED := --require-hashes --only-binary :all:
# Twice as many as there are cores, since many tests wait; more than eight gain little.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n > 4 ? 8 : n * 2)))
LOWEST := .venv-lowest
PYTEST = MISSY_TEST_MODELS="$(HOME_OF_DEMO)" $(1)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile
HOME_OF_DEMO := $(CURDIR)/.demo
MODEL := .demo/models/SmolLM2-135M-Instruct.Q4_1.gguf.json
SAY := @printf 'missy: %s\n' >&2

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: demo demo-batch demo-tools demo-codex demo-chatgpt demo-serve test test-lowest test-lowest-short test-frameworks test-mcp test-ray frameworks-fit readme coverage quick lint types bench dist lock clean

demo: $(VENV)/.local $(MODEL)
	@MISSY_CONFIG= MISSY_HOME="$(HOME_OF_DEMO)" $(BIN)/missy ask --provider local "$$PROMPT"
export PROMPT

test: lint types $(MODEL)
	$(call PYTEST,$(VENV)) $(ARGS)

quick: $(VENV)/.dev
	$(call PYTEST,$(VENV)) -m "not live and not race and not flood and not slow" $(ARGS)

# The warnings of others are no concern of ours.
test-frameworks: $(FRAMEWORKS)/.made
	PYTHONPATH=src $(FRAMEWORKS)/bin/python -m pytest -W ignore tests/frameworks $(ARGS)

# --no-deps: the file names all there is, and instructor's own bounds would refuse what it works with.
$(FRAMEWORKS)/.made: requirements/frameworks.txt | $(VENV)/.made
	$(SAY) 'making $(FRAMEWORKS), and installing what requirements/frameworks.txt names'
	@$(VENV)/bin/python -m venv --clear $(FRAMEWORKS)
	@$(FRAMEWORKS)/bin/python -m pip -qq --disable-pip-version-check install $(LOCKED) --no-deps -r requirements/frameworks.txt
	@touch $@

# The processes of a cluster listen on all interfaces: here there is one.
test-ray: $(RAY)/.made
	sh tests/alone.sh $(RAY)/bin/python -m pytest tests/batch/test_on_ray.py $(ARGS)

$(RAY)/.made: requirements/ray.txt requirements/build.txt pyproject.toml | $(VENV)/.made
	$(SAY) 'making $(RAY), and installing what requirements/ray.txt names'
	@$(VENV)/bin/python -m venv --clear $(RAY)
	@$(RAY)/bin/python -m pip -qq --disable-pip-version-check install $(LOCKED) \
	  -r requirements/build.txt -r requirements/ray.txt
	@$(RAY)/bin/python -m pip -qq --disable-pip-version-check install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

test-mcp: $(VENV)/.dev $(MCP_SERVERS)/.made
	$(BIN)/python -m pytest tests/mcp/test_real.py $(ARGS)
	sh tests/alone.sh $(BIN)/python -m pytest tests/mcp/test_codex.py $(ARGS)

# --ignore-scripts: nothing of the packages runs outside of the sandbox.
$(MCP_SERVERS)/.made: tests/mcp/real/requirements.txt tests/mcp/real/package-lock.json
	$(SAY) 'making $(MCP_SERVERS), and installing what tests/mcp/real names'
	@$(PYTHON) -m venv --clear $(MCP_SERVERS)
	@$(MCP_SERVERS)/bin/python -m pip -qq --disable-pip-version-check install $(LOCKED) -r tests/mcp/real/requirements.txt
	@cp tests/mcp/real/package.json tests/mcp/real/package-lock.json $(MCP_SERVERS)
	@npm ci --loglevel error --ignore-scripts --no-audit --no-fund --prefix $(MCP_SERVERS)
	@touch $@

frameworks-fit:
	@UV="$(UV)" $(PYTHON) requirements/fit.py

readme: $(VENV)/.dev
	$(BIN)/python -m tests.readme

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

test-lowest: $(LOWEST)/.made $(MODEL)
	$(call PYTEST,$(LOWEST)) -m "not locked" $(ARGS)

# For each dependency the tests that would notice: click and rich (cli), prompt-toolkit (talk, wizard), PyYAML (config),
# cryptography (secrets, id_token, seal), openai and httpx2 (lent, kinds, httpx_client), jiter (sse), jsonschema-rs and pydantic (structured),
# genai-prices (spending), pathspec (toolbox), mcp (mcp), pyarrow (parquet), uvicorn (serve), httptools (http1), idna (hostile_urls).
LOWEST_SHORT := $(addprefix tests/,config kinds lent mcp secrets spending structured talk toolbox batch/test_parquet.py serve/test_answers.py \
	auth/test_siwc_id_token.py net/test_httpx_client.py net/test_http1.py net/test_hostile_urls.py providers/test_sse.py \
	$(addprefix cli/test_,ask.py audit_seal.py completion.py local.py render.py wizard.py words.py))
test-lowest-short:
	@$(MAKE) --no-print-directory test-lowest ARGS="-m 'not locked and not slow and not race and not flood' $(LOWEST_SHORT) $(ARGS)"

coverage: $(VENV)/.dev $(MODEL)
	$(BIN)/coverage erase
	MISSY_TEST_MODELS="$(HOME_OF_DEMO)" $(BIN)/coverage run -m pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

demo-tools: $(VENV)/.dev
	@MISSY_CONFIG= $(BIN)/python -m tests.toolbox.demo

demo-batch: $(VENV)/.dev $(MODEL)
	@MISSY_CONFIG= $(BIN)/python -m tests.batch.demo "$(HOME_OF_DEMO)"

demo-codex: $(VENV)/.dev
	@MISSY_CONFIG= $(BIN)/python -m tests.simulator

demo-chatgpt: $(VENV)/.dev
	@MISSY_CONFIG= $(BIN)/python -m tests.simulator --siwc

demo-serve: $(VENV)/.dev $(MODEL)
	@MISSY_CONFIG= MISSY_HOME="$(HOME_OF_DEMO)" $(BIN)/python -m tests.serve.demo

dist: $(VENV)/.local
	rm -rf dist
	$(BIN)/hatchling build

bench: $(VENV)/.dev $(MODEL)
	MISSY_HOME="$(HOME_OF_DEMO)" $(BIN)/python benchmarks/run.py

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo 'missy: Python 3.11 or newer is needed, and $(PYTHON) is not: make PYTHON=python3.12 ...' >&2; exit 2; }
	$(SAY) 'making $(VENV)'
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# The project is installed in place, so that a change of the source needs no new install.
$(VENV)/.local: $(VENV)/.made requirements/local.txt requirements/build.txt pyproject.toml
	$(SAY) 'installing what requirements/local.txt and build.txt name'
	@$(PIP) $(LOCKED) -r requirements/build.txt -r requirements/local.txt
	@$(PIP) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.local requirements/dev.txt
	$(SAY) 'installing what requirements/dev.txt names'
	@$(PIP) $(LOCKED) -r requirements/dev.txt
	@touch $@

$(LOWEST)/.made: requirements/lowest.txt requirements/build.txt pyproject.toml
	$(SAY) 'making $(LOWEST) with what requirements/lowest.txt names'
	@$(PYTHON) -m venv --clear $(LOWEST)
	@$(LOWEST)/bin/python -m pip -qq --disable-pip-version-check install $(LOCKED) \
	  -r requirements/build.txt -r requirements/lowest.txt
	@$(LOWEST)/bin/python -m pip -qq --disable-pip-version-check install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(MODEL): | $(VENV)/.local
	@MISSY_CONFIG= MISSY_HOME="$(HOME_OF_DEMO)" $(BIN)/missy local install >/dev/null

UV ?= uv
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)
lock:
	$(COMPILE) pyproject.toml --extra local --extra mcp --group dev --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --extra local --constraints requirements/dev.txt --output-file requirements/local.txt
	$(COMPILE) pyproject.toml --extra serve --extra serve-team --constraints requirements/dev.txt --output-file requirements/serve.txt
	$(COMPILE) pyproject.toml --constraints requirements/dev.txt --output-file requirements/base.txt
	$(COMPILE) pyproject.toml --extra mcp --constraints requirements/dev.txt --output-file requirements/mcp.txt
	$(COMPILE) pyproject.toml --extra ray --group test --constraints requirements/dev.txt --output-file requirements/ray.txt
	$(COMPILE) requirements/build.in --constraints requirements/dev.txt --output-file requirements/build.txt
	$(COMPILE) pyproject.toml requirements/frameworks.in --constraints requirements/dev.txt \
	  --overrides requirements/frameworks.overrides --output-file requirements/frameworks.txt
	$(COMPILE) pyproject.toml --extra local --extra mcp --group test --resolution lowest-direct --constraints requirements/build.txt \
	  --output-file requirements/lowest.txt
	@! grep -nE '://|--(index|extra-index|find-links)' requirements/*.txt

clean:
	rm -rf $(VENV) $(LOWEST) $(FRAMEWORKS) $(RAY) $(MCP_SERVERS) .demo .coverage* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
