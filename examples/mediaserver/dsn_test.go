package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheQueryOfAMySQLURLIsTheDrivers(t *testing.T) {
	t.Parallel()
	c, err := parseMySQL("mysql://u%3Ax:p%40%2F@db.example/name%20d?tls=true&loc=Europe/Berlin&timeout=7s&sql_mode=%27ANSI%27")
	require.NoError(t, err)
	assert.Equal(t, "u:x", c.User)
	assert.Equal(t, "p@/", c.Passwd)
	assert.Equal(t, "db.example:3306", c.Addr)
	assert.Equal(t, "name d", c.DBName)
	assert.Equal(t, "true", c.TLSConfig)
	require.NotNil(t, c.TLS)
	assert.Equal(t, "db.example", c.TLS.ServerName, "whose certificate is asked for")
	assert.Equal(t, "Europe/Berlin", c.Loc.String())
	assert.Equal(t, 7*time.Second, c.Timeout)
	assert.Equal(t, map[string]string{"sql_mode": "'ANSI'"}, c.Params)
	c, err = parseMySQL("mysql://u@[::1]:3307/d")
	require.NoError(t, err)
	assert.Equal(t, "[::1]:3307", c.Addr)
	_, err = parseMySQL("mysql://u@h/d?timeout=soon")
	assert.Error(t, err)
}
