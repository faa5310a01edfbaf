# plimsoll. `make` alone lists the targets.
GO          ?= go
LDFLAGS     := -s -w
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 30s
LAB         := out/lab
# What tests start beside an engine.
TEST_PACKAGES := docker.io containerd runc iptables nftables busybox-static git systemd iproute2 openssh-client unpack:openssh-server unpack:docker-compose unpack:docker-registry unpack:notary unpack:openssl
# What soak tests need too: a machine whose power can be cut, a disk that fails, and what the newest engine is built with.
SOAK_PACKAGES := e2fsprogs qemu-system-x86 unpack:linux-image-cloud-amd64 libseccomp-dev pkg-config gcc libc6-dev

.PHONY: help audit build image test unit soak rules bench differences fuzz check deps clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

audit: build $(LAB) ## audit this machine's engine, or a throwaway one where there is none
	@$(LAB) audit -- bin/plimsoll

build: ## build bin/plimsoll, and bin/plimsoll-images beside it
	CGO_ENABLED=0 $(GO) build -trimpath -tags front -ldflags '$(LDFLAGS)' -o bin/plimsoll ./cmd/plimsoll
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/plimsoll-images ./cmd/plimsoll

image: build ## build the container image plimsoll
	docker build -t plimsoll .

test: $(LAB) ## everything that must hold; needs root
	$(GO) vet ./...
	$(GO) vet -tags front ./cmd/plimsoll
	$(LAB) test $(TEST_PACKAGES) -- env CI=true $(GO) test -vet=off -parallel 4 ./test ./... # the longest first

unit: ## tests that need neither root nor an engine
	$(GO) test ./internal/cel ./internal/strict ./internal/term ./internal/finding ./internal/waiver ./internal/baseline ./internal/facts ./internal/rule/... ./internal/report ./internal/reach ./rules

soak: $(LAB) ## what takes longer than make test allows; needs root
	$(LAB) test $(TEST_PACKAGES) $(SOAK_PACKAGES) -- env CI=true $(GO) test -tags soak -timeout 120m ./...

rules: ## run the tests inside the rule files
	$(GO) run ./cmd/plimsoll rules test

# Scans of images are measured with IMAGE, a docker-archive of a Debian image with packed layers, and OSV, a folder of OSV's zips.
bench: $(LAB) ## measure beside others, and peers (DOCKER_BENCH=DIR SOCKET_PROXY=BIN SOCKGUARD=BIN IMAGE=FILE OSV=DIR OSV_SCANNER=BIN TRIVY=BIN SYFT=BIN); needs root
	$(LAB) test --on-disk $(TEST_PACKAGES) -- $(GO) run ./bench -o docs/performance.md $(if $(DOCKER_BENCH),-docker-bench $(abspath $(DOCKER_BENCH))) \
	  $(if $(SOCKET_PROXY),-socket-proxy $(abspath $(SOCKET_PROXY))) $(if $(SOCKGUARD),-sockguard $(abspath $(SOCKGUARD))) \
	  $(if $(IMAGE),-image $(abspath $(IMAGE)) -osv $(abspath $(OSV))) \
	  $(if $(OSV_SCANNER),-osv-scanner $(abspath $(OSV_SCANNER))) $(if $(TRIVY),-trivy $(abspath $(TRIVY))) $(if $(SYFT),-syft $(abspath $(SYFT)))

differences: $(LAB) ## compare verdicts with docker-bench-security's (DOCKER_BENCH=DIR); needs root
	$(LAB) test $(TEST_PACKAGES) -- $(GO) run ./bench -docker-bench $(abspath $(DOCKER_BENCH)) -differences docs/docker-bench.md

fuzz: ## run each fuzz target for FUZZTIME
	@for f in $$(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do \
	  for t in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' $$f); do \
	    echo "$$f $$t"; $(GO) test ./$$(dirname $$f) -run '^$$' -fuzz "^$$t$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s || exit 1; \
	  done; done

check: ## formatting, vet, staticcheck and go.mod, to an empty diff
	@test -z "$$(gofmt -l cmd internal rules test bench)" || { gofmt -l cmd internal rules test bench; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

deps: $(LAB) ## install what the tests need, to stay
	$(LAB) install $(TEST_PACKAGES)

clean: ## remove what was built
	rm -rf bin out

$(LAB): FORCE
	@mkdir -p out
	@$(GO) build -o $(LAB) ./test/lab/cmd/lab

FORCE:
