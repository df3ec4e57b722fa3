# Every target sets up what it needs: `make run` and `make test` work on a machine
# that has only Python 3.11 or later and make.
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
UV_VERSION := 0.13.9
PY := .venv/bin/python
export UV_PYTHON_DOWNLOADS := never
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check bench eval eval-record soak clean

run: .venv/.ok
	@$(PY) app.py serve

test: .venv/.dev
	@$(PY) -m pytest

check: .venv/.dev
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@$(PY) -m pytest -m "not slow"

bench: .venv/.dev
	@$(PY) -m benchmarks

# make eval [MODEL=provider/model] [TASKS=kind,id…] [TRIES=3] [LIMIT=n of a kind] [MAX_USD=5] [YES=1]; no MODEL: the embedded one.
eval: .venv/.dev
	@$(PY) -m evals $(if $(MODEL),--model $(MODEL)) $(if $(TASKS),--tasks '$(TASKS)') $(if $(TRIES),--tries $(TRIES)) \
	  $(if $(LIMIT),--limit $(LIMIT)) $(if $(MAX_USD),--max-usd $(MAX_USD)) $(if $(YES),--yes)

# After a change of prompts, actions or tasks: which answer belongs to which prompt.
eval-record: .venv/.dev
	@$(PY) -m evals --record $(if $(TASKS),--tasks '$(TASKS)')

soak: .venv/.dev
	@PARLANCE_SOAK=1 $(PY) -m pytest -o timeout=3600

# What runs, without the tools of those who change it; --inexact leaves those where they are.
.venv/.ok: pyproject.toml uv.lock $(wildcard tools/sandbox/guest/*) $(filter .uv/bin/uv,$(UV))
	@$(UV) sync --frozen --no-dev --inexact --compile-bytecode
	@$(PY) -m compileall -q app.py chat configs engine sessions tools
	-@$(PY) -m tools.sandbox.build
	@touch $@

.venv/.dev: .venv/.ok
	@$(UV) sync --frozen --compile-bytecode
	@touch $@

.uv/bin/uv:
	@python3 -m venv .uv || { echo "python3 cannot make a virtual environment. Fix: apt install python3-venv (Debian, Ubuntu)." >&2; exit 1; }
	@.uv/bin/pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"

clean:
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis
