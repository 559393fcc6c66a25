# Everything that a user or CI calls. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

KUBERNETES := 1.36.3
# without these the API server of the testbed calls itself v0.0.0
LDFLAGS := -X k8s.io/component-base/version.gitVersion=v$(KUBERNETES) -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36
CONTROLLER_GEN := sigs.k8s.io/controller-tools/cmd/controller-gen@v0.21.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# the peer of bench-nodes; built outside of this module
KARPENTER := v1.14.0
# built outside of this module
HELM := helm.sh/helm/v4/cmd/helm@v4.3.1
HCLFMT := github.com/hashicorp/hcl/v2/cmd/hclfmt@v2.24.0
OPA := github.com/open-policy-agent/opa@v1.22.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# prints what was skipped, and why, at the end
GOTESTSUM := gotest.tools/gotestsum@v1.13.0

PROGRAMS := swell swell-metrics swell-scaler
REQUIRE ?=
SHORT ?=
SEED ?= 1
COMPARE ?=
CHAOS ?=
KAFKA ?=
SEEDS ?=
TRACE ?=
TRACES ?=
TIMEZONE ?= UTC
VERSION ?=
URL ?=
IMAGE ?=
PUSH ?=

.PHONY: help build demo test lint bench bench-balloon bench-report bench-metrics bench-forecast bench-replay bench-nodes mutants sim sim-bugs check-leaks generate release release-check image chart rights rights-needed clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 18
	@echo
	@echo '  make demo SEED=n        another rise of the trace'
	@echo '  make demo COMPARE=1     the same hour with prediction and balloons off as well'
	@echo '  make demo CHAOS=1       kills the scaler, the metrics server, AWS and Kafka on the way'
	@echo '  make demo KAFKA=real    with an Apache Kafka broker, where Java and Maven are'
	@echo '  make demo TRACE=load.csv TIMEZONE=Asia/Tokyo   a load of your own: timestamp,value, with two weeks before the rise'
	@echo '  make test REQUIRE=kafka,chromium,prometheus,moto,helm,hclfmt,opa,traces,bugs   fails instead of skipping what is not there'

build: ## the programs and the testbed, into bin/
	@mkdir -p bin
	@n=0; for p in $(PROGRAMS:%=cmd/%) bench/testbed bench/demo; do n=$$((n+1)); \
	  printf '%s  [%d/5] building %s (the first time takes minutes)\n' "$$(date +%T)" $$n $$p >&2; \
	  go build -ldflags '$(LDFLAGS)' -o bin/$$(basename $$p) ./$$p; done

demo: build ## a steep morning on a real control plane: out/demo/report.html, summary.json
	@bin/demo --out out/demo --seed $(SEED) $(if $(filter 1,$(COMPARE)),--compare) $(if $(filter 1,$(CHAOS)),--chaos) $(if $(filter real,$(KAFKA)),--real-kafka) \
	  $(if $(TRACE),--trace '$(TRACE)' --timezone '$(TIMEZONE)')

test: build ## all tests; REQUIRE=kafka,chromium,prometheus,moto,helm,hclfmt,opa makes missing tools a failure
	@SWELL_REQUIRE='$(REQUIRE)' go run $(GOTESTSUM) --format pkgname-and-test-fails -- -timeout 45m -parallel 4 ./...

lint: ## gofmt, go vet, staticcheck, govulncheck, generated files up to date
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'these files are not gofmt-ed: run gofmt -w on them'; exit 1; }
	@go vet ./...
	@go vet -tags eks ./bench/eks
	@go run $(STATICCHECK) ./...
	@new=$$(mktemp -d); trap 'rm -rf "$$new"' EXIT; \
	  go run $(CONTROLLER_GEN) object paths=./api/v1alpha1 crd:maxDescLen=300 output:crd:dir=$$new/crds output:object:dir=$$new/object; \
	  charts/generate $$new/crds $$new/templates; \
	  go run $(CONTROLLER_GEN) paths=./api/v1alpha1 crd output:crd:dir=$$new/whole; mkdir $$new/docs; go run ./bench/reference --crds $$new/whole --out $$new/docs; \
	  diff -r $$new/crds charts/swell/crds && diff -r $$new/templates charts/swell/templates/crds && diff $$new/object/zz_generated.deepcopy.go api/v1alpha1/zz_generated.deepcopy.go && \
	  diff $$new/docs/kinds.md docs/kinds.md && diff $$new/docs/configuration.md docs/configuration.md || \
	  { echo 'generated files are not up to date: run "make generate"'; exit 1; }
	@bash .ci/vulnerabilities $(GOVULNCHECK)

generate: bin/helm ## deep copies, CRDs and the pages of all fields from api/, those of metrics and alerts, the chart's schema, its copies of the CRDs, and its rules
	@go run $(CONTROLLER_GEN) object paths=./api/v1alpha1 crd:maxDescLen=300 output:crd:dir=charts/swell/crds output:object:dir=api/v1alpha1
	@whole=$$(mktemp -d); trap 'rm -rf "$$whole"' EXIT; \
	  go run $(CONTROLLER_GEN) paths=./api/v1alpha1 crd output:crd:dir=$$whole; go run ./bench/reference --crds $$whole
	@go run ./bench/monitoring
	@go test -count=1 -run 'TestTheValuesAreOnThePage|TestTheConfigurationsFieldsAreInTheSchema' ./bench/chart -update >/dev/null
	@charts/generate charts/swell/crds charts/swell/templates/crds
	@charts/render bin/helm charts/rendered

bin/helm:
	@mkdir -p bin
	@printf '%s  building helm (the first time takes minutes)\n' "$$(date +%T)" >&2
	@GOBIN='$(CURDIR)/bin' go install $(HELM)

bin/hclfmt:
	@mkdir -p bin
	@GOBIN='$(CURDIR)/bin' go install $(HCLFMT)

bin/opa:
	@mkdir -p bin
	@printf '%s  building opa (the first time takes minutes)\n' "$$(date +%T)" >&2
	@GOBIN='$(CURDIR)/bin' go install $(OPA)

chart: bin/helm build ## the chart linted, rendered, applied, installed, upgraded and uninstalled on a real API server
	@SWELL_REQUIRE=helm go test -count=1 -timeout 20m ./bench/chart

# tests that together use every right that the chart grants; those of the second line list what they watch, as beside an API server
# that streams no lists
RIGHTS_SCALER := TestAnInterruptedInstanceIsReplacedFirst|TestEachOutputHoldsTheRoomInItsOwnWay|TestPodsThatNothingTakesGetOneEvent
RIGHTS_LISTS := TestAPodWithAClaimGetsANodeInTheZoneOfItsVolume|TestRareTargetsAreReadByTheChartsRights|TestWhatIsRareGoesByTheChartsRights
RIGHTS_METRICS := TestRightsAreThoseThatAreNeeded|TestAnHPAFollowsThePrediction

rights: build ## records what the programs ask of the API server under the chart's rules; fails on a rule that none uses, and on a refused request
	@rm -rf out/rights && mkdir -p out/rights bin
	@export SWELL_RIGHTS='$(CURDIR)/out/rights'; \
	  SWELL_LISTS=1 go test -count=1 -timeout 20m -run '$(RIGHTS_LISTS)' ./scaler; \
	  go test -count=1 -timeout 20m -run '$(RIGHTS_SCALER)' ./scaler; \
	  SWELL_LISTS=1 go test -count=1 -timeout 20m -run '$(RIGHTS_METRICS)' ./metrics/server; \
	  go test -count=1 -timeout 20m -run 'TestZeroOnAControlPlane|TestTheAPIServerTrustsEveryRotation' ./metrics/consumers ./metrics/certificate
	@go run ./bench/rights used

rights-needed: rights ## takes each rule of the chart out in turn: a recorded request of a test must be refused
	@go run ./bench/rights needed

bench: ## benchmarks, one JSON line a figure
	@go test -run '^$$' -bench . -benchtime 1x ./scaler/... ./metrics/... ./balloon/... | go run ./bench/jsonlines

bench-metrics: build ## what the lag metrics cost, beside KEDA's scaler (its first build takes minutes)
	@printf '%s  building bench/metrics and bench/keda\n' "$$(date +%T)" >&2
	@go build -o bin/bench-metrics ./bench/metrics
	@cd bench/keda && go build -o ../../bin/bench-keda .
	@bin/bench-metrics --keda bin/bench-keda

bench-forecast: ## back-tests the forecast on recorded loads and writes docs/forecasting.md; TRACES=folder has those that the project does not keep
	@go run ./bench/forecast $(if $(TRACES),--traces '$(TRACES)')
	@go test -run '^$$' -bench Tick -benchtime 1x ./scaler/forecast | go run ./bench/jsonlines

bench-report: ## what a capacity report of thirty days and 200 nodes costs to make, its size, and how long a browser takes to open it
	@go run ./bench/opening

bench-balloon: build ## 300 pods at once: into free room, into room that balloons give up, and by preemption alone
	@go build -o bin/bench-balloon ./bench/balloon
	@bin/bench-balloon

bench-replay: ## plays recorded loads through swell and its peers and writes docs/replay.md with its pictures; TRACES=folder as above
	@go run ./bench/replay $(if $(TRACES),--traces '$(TRACES)')
	@go test -run '^$$' -bench Year -benchtime 1x ./scaler/replay | go run ./bench/jsonlines

sim: ## the node scaler in virtual time under random faults: SEEDS=5000 of them, or the one SEED=n with its timeline
	@mkdir -p bin; go test -c -o bin/sim ./bench/sim
	@cd bench/sim && $(if $(SEEDS),GOGC=400 SWELL_SIM_SEEDS=$(SEEDS) SWELL_SIM_PROCESSES=$$(nproc),SWELL_SIM_SEEDS=1 SWELL_SIM_FROM=$(SEED)) \
	  ../../bin/sim -test.run TestSeedsKeepThePromises -test.timeout 60m

sim-bugs: ## plants each mistake of bench/sim/testdata/bugs and looks for a seed that finds it (minutes)
	@SWELL_SIM_BUGS=all go test -count=1 -timeout 30m -v -run TestPlantedBugsAreFound ./bench/sim | grep -vE '^=== '

mutants: build ## takes the guard of each known pitfall out, and fails unless the test that is named for it fails then
	@go build -o bin/mutants ./bench/mutants
	@bin/mutants

bench-nodes: build ## plans at 5,000 nodes, reaction, 1,000 pods at once and an hour of load beside Karpenter (40 min); SHORT=1: 5 min, figures that prove nothing
	@printf '%s  building bench/nodes, and Karpenter %s with its kwok provider\n' "$$(date +%T)" $(KARPENTER) >&2
	@go build -o bin/bench-nodes ./bench/nodes
	@GOBIN='$(CURDIR)/bin/karpenter' go install sigs.k8s.io/karpenter/kwok@$(KARPENTER)
	@sources=$$(go mod download -json sigs.k8s.io/karpenter@$(KARPENTER) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'); \
	  bin/bench-nodes --karpenter bin/karpenter/kwok --karpenter-crds "$$sources/pkg/apis/crds,$$sources/kwok/apis/crds" \
	  $(if $(filter 1,$(SHORT)),--short,--doc docs/nodes-bench.md)

check-leaks: ## 200 rows of each recorded load's back-test against swell forecast on the file cut at their origin (minutes)
	@SWELL_LEAKS=200 go test -count=1 -timeout 30m -run TestTheBacktestKnowsNoFuture -v ./cmd/swell

release: ## VERSION=v0.1.0: static binaries for all platforms with SBOMs, licences and checksums in out/release; URL=… writes krew's manifest too
	@go run ./build/release --version '$(VERSION)' --out out/release $(if $(URL),--url '$(URL)')

release-check: ## builds the CLI in two folders, once from an empty cache, and compares the bytes (minutes)
	@go run ./build/release --version '$(or $(VERSION),v0.0.0)' --check --programs swell --platforms "$$(go env GOOS)/$$(go env GOARCH)"

image: ## VERSION=v0.1.0 IMAGE=registry/swell: the image for amd64 and arm64 from out/release, pushed where PUSH=1
	@test -n '$(VERSION)' -a -n '$(IMAGE)' || { echo 'give VERSION=v0.1.0 and IMAGE=registry.example/swell'; exit 2; }
	@docker buildx version >/dev/null 2>&1 && docker info >/dev/null 2>&1 || { echo 'no Docker daemon with buildx answers here: the image is not built'; exit 1; }
	@docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION='$(VERSION)' --build-arg COMMIT="$$(git rev-parse HEAD)" \
	  --provenance=true --sbom=false --file build/Dockerfile --tag '$(IMAGE):$(VERSION)' $(if $(filter 1,$(PUSH)),--push,--output type=oci,dest=out/release/image.tar) out/release/bin

clean: ## remove bin/ and out/
	@rm -rf bin out
