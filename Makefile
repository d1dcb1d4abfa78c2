.DEFAULT_GOAL := help
.PHONY: help test race ci bench fuzz run

help: ## Show this list.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

test: ## Test all modules.
	go test work

race: ## Test all modules under the race detector.
	go test -race work

ci: ## Run all checks that decide whether a change lands (Debian, as root).
	.ci/run

bench: ## Measure, and print the tables of bench/README.md. Takes half an hour.
	go test -run '^$$' -bench . -count 5 -timeout 2h ./bench ./bench/peers | go run ./bench/markdown

fuzz: ## Fuzz the extraction of keys for a minute.
	go test -run '^$$' -fuzz FuzzExtract -fuzztime 1m .

run: ## Start the media server of the quickstart.
	go run ./examples/mediaserver
