# Two commands for a newcomer: `make run`, `make test`. The rest are conveniences over the same tools.
PY := .venv/bin/python
UV := .venv/bin/uv
# A folder of wheels (PIP_FIND_LINKS) may hold a CPU build of torch; otherwise uv takes it from TORCH_BACKEND.
TORCH := $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS),--torch-backend=$(or $(TORCH_BACKEND),cpu))
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check docs envs ui report restore bench lock
run: .venv/ready ; @$(PY) -m counterpoise run
test: .venv/ready ; @$(PY) -m pytest
check: .venv/ready ; @$(PY) -m counterpoise.devtools check
docs envs: .venv/ready ; @$(PY) -m counterpoise.devtools $@
ui: .venv/ready ; @$(PY) -m counterpoise ui
report: .venv/ready ; @$(PY) -m counterpoise report
restore: .venv/ready ; @$(PY) -m counterpoise restore
bench: .venv/ready ; @$(PY) -m benchmarks $(BENCH)

.venv/ready: requirements.lock pyproject.toml
	@echo "setting up .venv (once) ..."
	@for tool in $(UV) .venv/bin/pip; do $$tool --version > /dev/null 2>&1 && exit; done; \
	$$(command -v python3.11 || command -v python3) -m venv --clear .venv  # also one that was stopped half-way
	@$(UV) --version > /dev/null 2>&1 || .venv/bin/pip install --quiet --disable-pip-version-check uv
	@$(UV) pip install --quiet --python $(PY) --compile-bytecode $(TORCH) -r requirements.lock
	@$(UV) pip install --quiet --python $(PY) --no-deps --compile-bytecode -e .
	@touch $@
lock: .venv/ready ; @$(UV) pip compile --quiet --extra dev $(TORCH) pyproject.toml --no-annotate --no-header | sed 's/+cpu//' > requirements.lock.new && mv requirements.lock.new requirements.lock
