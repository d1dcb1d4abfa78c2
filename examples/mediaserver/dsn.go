package main

import (
	"errors"
	"regexp"
	"strings"
)

// errDSN stands for every error about a text of -db that is not a file. Those of the drivers may
// show the password in it.
var errDSN = errors.New("-db: want a file, postgres://user:password@host/database, " +
	"\"host=… dbname=…\", mysql://user:password@host/database or user:password@tcp(host)/database")

// A dsnKind is what a text of -db names.
type dsnKind int

const (
	isUnclear dsnKind = iota
	isFile
	isPostgres
	isMySQL
)

var (
	// keywords begin a DSN of libpq's words, or follow another.
	keywords = regexp.MustCompile(`(^|\s)(host|hostaddr|port|dbname|user|password|passfile|service|sslmode)\s*=`)
	// driverDSN is that of go-sql-driver: user:password@net(address)/database.
	driverDSN = regexp.MustCompile(`@(tcp|unix)\(.*\)/|^[^/]*@/|^(tcp|unix)\(.*\)/`)
	// login is what a file's name has not.
	login = regexp.MustCompile(`:.*@`)
)

// kindOf never takes what may have a password for a file, whose name is printed.
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
