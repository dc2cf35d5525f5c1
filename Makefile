# make demo     the whole workflow on the digits that ship with scikit-learn
# make test     the test suite
# make test-quick  those of the library that take less than two minutes together
# make slurm    the test on a SLURM cluster of this machine, with what happens to its jobs
# make faults   some 200 injected faults, written to docs/faults; ONLY="downloads" for one kind
# make verify   measure a random tenth of the finished runs again; RESULTS=results/paper
# make publish  the page of PUBLISHED=docs/reproduction, in short in README.md: from the files
#               PARTS=docs/reproduction/parts/*.nc, or where there are none from a study,
#               CONFIG=config/config.yaml, which is computed if it is not
# make republish  every publication below docs anew from its own results, by the code as it is
# make reproduce  every figure and table of PUBLISHED=docs/reproduction from its results
# make same-bits  one study with 1 and 2 cores, in another order, interrupted and on SLURM: same bits?
# make bench    the benchmarks, written to docs/benchmarks; ONLY=measuring for one part
# make gpu      what only a GPU can show, written to docs/benchmarks/gpu.md, in slices of at most nine
#               minutes that go on where they were: bits, rates, measuring, paper; ONLY=rates for one
# make site     the documentation as a site, results/site/index.html
# make lint     formatters and linters
# make docs     rewrite the generated tables in README.md, docs and config/README.md
# make lock     resolve the versions in envs/ anew
# make clean    delete the environment
#
# Everything runs in .venv in this folder; the system's Python stays as it is.

PYTHON ?= python3
CORES ?= 2
RESULTS ?= results/demo
CONFIG ?= config/config.yaml
PUBLISHED ?= docs/reproduction
PARTS ?= $(wildcard $(PUBLISHED)/parts/*.nc)
BIN := .venv/bin
INSTALLED := .venv/installed

# Numbers, errors and what is installed; no Snakemake, and nothing that takes long.
QUICK := tests/analysis tests/golden tests/progress tests/series tests/tables \
  $(addprefix tests/measurement/test_,decompositions.py exactness.py refusals.py) \
  $(addprefix tests/command/test_,options.py weights.py) tests/settings/test_settings.py \
  tests/jobs/test_log.py $(addprefix tests/test_,extras.py package.py)
SLOW := $(addprefix tests/analysis/test_,claims_documented.py correlations.py sensitivity.py)

.PHONY: environment demo test test-quick slurm faults verify same-bits publish republish reproduce bench gpu site lint docs lock clean

environment: $(INSTALLED)

$(INSTALLED): envs/requirements.txt envs/installer.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "$(PYTHON) is `$(PYTHON) --version 2>&1`. Allowed: Python 3.11 or newer. Call make with PYTHON=/path/to/python." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo \
	  "$(PYTHON) lacks the modules venv and ensurepip. Install them (on Debian and Ubuntu: the package python3-venv), then start again." >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/installer.txt
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r envs/requirements.txt
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: $(INSTALLED)
	$(BIN)/snakemake --cores $(CORES) --configfile config/demo.yaml --rerun-incomplete --quiet rules
	@echo
	@cat results/demo/tables/claims.txt | head -1
	@echo "Report:           results/demo/report.html (open it in a browser)"
	@echo "Figures:          results/demo/figures/ (`ls results/demo/figures/*.png | wc -l` figures, PNG, PDF and SVG)"
	@echo "Tables:           results/demo/tables/ (claims and correlations)"
	@echo "Measurements:     results/demo/measurements/ (`ls results/demo/measurements | wc -l` runs, one netCDF file each)"

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadfile tests/device
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadfile --ignore tests/device --ignore tests/workflow/test_slurm.py

test-quick: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadfile $(QUICK) $(addprefix --ignore ,$(SLOW))

slurm: $(INSTALLED)
	$(BIN)/python -m pytest -s tests/workflow/test_slurm.py

faults: $(INSTALLED)
	$(BIN)/python -m tests.faults docs/faults $(ONLY)

verify: $(INSTALLED)
	$(BIN)/flatness verify $(RESULTS)

# PART: what `snakemake part` makes of the configuration.
publish: PART = $(shell $(BIN)/python -c 'from flatness.settings import read_settings; s = read_settings("$(CONFIG)"); print(s.folders.results, s.name, "part.nc", sep="/")')
publish: $(INSTALLED)
	$(if $(PARTS),,$(BIN)/snakemake --cores $(CORES) part --configfile $(CONFIG))
	$(BIN)/flatness publish $(or $(PARTS),$(PART)) --output $(PUBLISHED)
	$(BIN)/python -m tools.generated_tables

republish: $(INSTALLED)
	set -e; for results in `find docs -name results.nc`; do \
	  $(BIN)/flatness publish $$results --output `dirname $$results`; done
	$(BIN)/python -m tools.generated_tables

reproduce: $(INSTALLED)
	$(BIN)/flatness reproduce $(PUBLISHED) --output results/reproduced/$(notdir $(PUBLISHED:/=))

same-bits: $(INSTALLED)
	$(BIN)/python -m tests.workflow.same_bits

# One thread: of torch, and of the BLAS of numpy, which reads this when it starts.
bench: $(INSTALLED)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks docs/benchmarks $(ONLY)

gpu: $(INSTALLED)
	$(BIN)/python -m tests.gpu docs/benchmarks/gpu.md $(ONLY)

# Anew each time, with broken links and whatever else Sphinx warns of as errors.
site: $(INSTALLED)
	$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --conf-dir tools/site --doctree-dir results/site/.doctrees . results/site
	@echo "Site: results/site/index.html"

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check .
	$(BIN)/snakemake --lint

docs: $(INSTALLED)
	$(BIN)/python -m tools.generated_tables

lock: $(INSTALLED)
	$(BIN)/uv pip compile pyproject.toml --extra workflow --extra dev --extra bench --extra docs --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --upgrade --custom-compile-command "make lock" --output-file envs/requirements.txt
	$(BIN)/python -m tools.generated_tables

clean:
	rm -rf .venv
