package main

import (
	"errors"
	"regexp"
	"strings"
)

// errDSN replaces every error about a -db that is not a file, because errors of the drivers may show
// the password.
var errDSN = errors.New("-db: want a file, postgres://user:password@host/database, " +
	"\"host=… dbname=…\", mysql://user:password@host/database or user:password@tcp(host)/database")

// A dsnKind is the kind of database that -db names.
type dsnKind int

const (
	isUnclear dsnKind = iota
	isFile
	isPostgres
	isMySQL
)

var (
	// keywords matches a parameter in a keyword/value DSN of libpq.
	keywords = regexp.MustCompile(`(^|\s)(host|hostaddr|port|dbname|user|password|passfile|service|sslmode)\s*=`)
	// driverDSN matches a DSN of go-sql-driver: user:password@net(address)/database.
	driverDSN = regexp.MustCompile(`@(tcp|unix)\(.*\)/|^[^/]*@/|^(tcp|unix)\(.*\)/`)
	// login matches a user and a password.
	login = regexp.MustCompile(`:.*@`)
)

// kindOf returns the kind of a DSN. A text that may contain a password is never a file, because the
// program prints the names of files.
func kindOf(dsn string) dsnKind {
	scheme, _, isURL := strings.Cut(dsn, "://")
	switch {
	case isURL && (scheme == "postgres" || scheme == "postgresql"):
		return isPostgres
	case isURL && scheme == "mysql", driverDSN.MatchString(dsn):
		return isMySQL
	case isURL || login.MatchString(dsn):
		return isUnclear
	case keywords.MatchString(dsn):
		return isPostgres
	}
	return isFile
}
