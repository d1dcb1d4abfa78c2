package main

import (
	"net/http"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/manage"
)

// newDashboard returns the dashboard for /admin/ and describes the source of its password.
func newDashboard(issuer *apikey.Issuer, base string) (dashboard http.Handler, password string, err error) {
	hash, password, err := passwordHash()
	if err != nil {
		return nil, "", err
	}
	desk, err := manage.New(issuer)
	if err != nil {
		return nil, "", err
	}
	dashboard, err = admin.New(desk, admin.Options{
		PasswordHash: hash,
		Name:         "Media server",
		Scopes:       []string{manage.ScopeManage},
		Example:      "curl -H 'X-Emby-Token: KEY' " + base + "/emby/System/Info",
	})
	return dashboard, password, err
}
