// Package client is a client of package manageapi that oapi-codegen made from its description.
package client

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config config.yaml -o client.gen.go ../../openapi.json
