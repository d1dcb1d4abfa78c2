package sqlstore

import (
	"embed"
	"fmt"
	"strings"
)

// schemaVersion is the version of the tables that this package reads and writes.
const schemaVersion = 2

//go:embed schema/*.sql
var schemaFiles embed.FS

// A step is one statement of a schema. Table apikey_schema records each executed step.
type step struct {
	version, number int // number counts from 1 within the version
	statement       string
}

// stepsOf returns the steps of all versions in order. database begins the names of the schema
// files. Migrate executes the steps that apikey_schema does not record.
func stepsOf(database string) (steps []step) {
	for version := 1; version <= schemaVersion; version++ {
		file := fmt.Sprintf("schema/%s_%d.sql", database, version)
		text, err := schemaFiles.ReadFile(file)
		if err != nil {
			panic(err) // the file is embedded
		}
		for i, statement := range statementsOf(string(text)) {
			steps = append(steps, step{version, i + 1, statement})
		}
	}
	return steps
}

// stepsAfter returns the steps that follow a recorded step.
func stepsAfter(steps []step, version, number int) []step {
	for i, s := range steps {
		if s.version > version || s.version == version && s.number > number {
			return steps[i:]
		}
	}
	return nil
}

// statementsOf returns the statements of a schema file without comments.
func statementsOf(schema string) (list []string) {
	var statement []string
	for line := range strings.SplitSeq(schema, "\n") {
		if text := strings.TrimSpace(line); text == "" || strings.HasPrefix(text, "--") {
			continue
		}
		line, last := strings.CutSuffix(line, ";")
		statement = append(statement, line)
		if last {
			list, statement = append(list, strings.Join(statement, "\n")), nil
		}
	}
	return list
}
