PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml

.PHONY: help run test bench model check format lock schema reference engines engines-stop clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/run: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev: $(VENV)/run requirements-dev.lock
	@echo "Installing what the tests need into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

run: $(VENV)/run ## Start everything on this machine, with demo data (ARGS="--port 9000")
	@$(BIN)/slackwater run $(ARGS)

test: $(VENV)/dev ## Run all tests (ARGS="-k outbox")
	$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/dev ## Measure the loop from outside (ARGS="--seconds 10 --processes --record")
	$(BIN)/python benchmarks/loop.py $(ARGS)

model: ## Check the TLA+ models of docs/model (ARGS="Search", ARGS="--larger Mining")
	@$(PYTHON) -m deploy.model $(ARGS)

check: $(VENV)/dev ## Lint, format check, types, import rules, schema drift
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/slackwater schema export --check schema.graphql
	$(BIN)/python -m deploy.adapters_page --check docs/reference/adapters.md
	$(BIN)/python -m deploy.metrics_page --check docs/reference/metrics.md

format: $(VENV)/dev ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: $(VENV)/run ## Write schema.graphql anew
	$(BIN)/slackwater schema export schema.graphql

reference: $(VENV)/dev ## Write the pages of docs/reference that are made of the code anew
	$(BIN)/python -m deploy.adapters_page docs/reference/adapters.md
	$(BIN)/python -m deploy.metrics_page docs/reference/metrics.md

engines: ## Start PostgreSQL, Kafka, MongoDB, Elasticsearch on loopback (ARGS="kafka --port kafka=19192")
	@$(PYTHON) -m deploy.engines up $(ARGS)

engines-stop: ## Stop them again; their data stays
	@$(PYTHON) -m deploy.engines down $(ARGS)

lock: ## Lock the dependencies anew (needs uv)
	$(LOCK) --group build -o requirements.lock
	$(LOCK) --group build --extra engines -o requirements-engines.lock
	$(LOCK) --group build --group dev --extra engines -o requirements-dev.lock

clean: ## Remove the environment and all data
	@test ! -d .slackwater-engines || $(PYTHON) -m deploy.engines down
	rm -rf $(VENV) .slackwater .slackwater-engines
