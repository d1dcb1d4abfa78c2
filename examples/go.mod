module github.com/latchkey-dev/apikey/examples

go 1.26

require github.com/latchkey-dev/apikey v0.0.0

require (
	github.com/stretchr/testify v1.12.1
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/latchkey-dev/apikey => ../
