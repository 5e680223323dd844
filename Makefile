# Two commands for a newcomer: `make run`, `make test`. The rest are conveniences over the same tools.
PY := .venv/bin/python
UV := .venv/bin/uv
# A folder of wheels (PIP_FIND_LINKS) may hold a CPU build of torch; otherwise uv takes it from TORCH_BACKEND.
TORCH := $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS),--torch-backend=$(or $(TORCH_BACKEND),cpu))
unexport PYTHONDONTWRITEBYTECODE

# Kernels of other x86 processors, on any: without AVX, and with AVX2 alone.
DEFAULT := OPENBLAS_CORETYPE=Haswell ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE MKL_ENABLE_INSTRUCTIONS=SSE4_2 \
  ONEDNN_MAX_CPU_ISA=SSE41 NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR" \
  GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4
AVX2 := OPENBLAS_CORETYPE=Haswell ATEN_CPU_CAPABILITY=avx2 MKL_CBWR=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 \
  ONEDNN_MAX_CPU_ISA=AVX2 NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR"
# Methods against hand arithmetic and other libraries; of the goldens their numbers, not what trips them.
EQUALITY := $(addprefix tests/test_,$(addsuffix .py,goldens methods losses_features losses_margins gradient_methods mixing \
  saturation ranks metrics rebalancing posthoc resamplers samplers table_models table_ensembles ordered_classes second_stage experts)) \
  -k "not trips and not command"

.PHONY: run test kernels check docs envs ui report restore bench lock
run: .venv/ready ; @$(PY) -m counterpoise run
test: .venv/ready ; @$(PY) -m pytest
kernels: .venv/ready
	@$(DEFAULT) $(PY) -m pytest -q $(EQUALITY)
	@$(AVX2) $(PY) -m pytest -q $(EQUALITY)
	@$(PY) -m tests.make_goldens --stable
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
