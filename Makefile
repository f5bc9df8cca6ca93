.DEFAULT_GOAL := help
.PHONY: help run test e2e fuzz bench lint fmt build clean

PEERS ?= ../shared/peers

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## relay, sample app and chat page on this machine
	go run ./cmd/signalrelay demo

test: ## set-up and every test that needs no other program
	@.ci/run test

e2e: ## real servers and clients: Microsoft's in $(PEERS), JavaScript, Java, Python
	@SIGNALRELAY_PEERS=$(PEERS) .ci/run tools peers drivers

fuzz: ## 100000 runs of every fuzz target, or FUZZTIME of them (500000x, 30s)
	@FUZZTIME=$(or $(FUZZTIME),100000x) .ci/run fuzz

bench: ## measure the relay on this machine; takes minutes
	go run ./cmd/signalrelay bench

lint: ## formatting, go vet, staticcheck, go.mod, names in docs
	@.ci/run format vet lint tidy docs

fmt: ## format all Go files
	gofmt -w $$(git ls-files -co --exclude-standard '*.go')

build: ## bin/signalrelay
	CGO_ENABLED=0 go build -trimpath -o bin/signalrelay ./cmd/signalrelay

clean: ## remove what the other targets made
	rm -rf bin build
	find conformance \( -name node_modules -o -name target -o -name .venv \) -prune -exec rm -rf {} +
