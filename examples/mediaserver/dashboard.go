package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/emby"
)

const passwordVariable = "APIKEY_ADMIN_PASSWORD"

// withDashboard puts the administrator's dashboard at /admin/, beside the API. Its password is in
// the environment, or made now and printed.
func withDashboard(api http.Handler, issuer *apikey.Issuer, base string, out io.Writer) (http.Handler, error) {
	password, how := os.Getenv(passwordVariable), "the password in "+passwordVariable
	if password == "" {
		password = rand.Text()
		how = "the password " + password + ", made for this run; set " + passwordVariable + " to choose another"
	}
	hash, err := admin.HashPassword(apikey.NewSecret(password))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", passwordVariable, err)
	}
	dashboard, err := admin.New(issuer, admin.Options{
		PasswordHash: hash,
		Name:         "Media server",
		Scopes:       []string{emby.ScopeManage},
		Example:      "curl -H 'X-Emby-Token: KEY' " + base + "/emby/System/Info",
	})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "The dashboard is at %s/admin/, with %s\n\n", base, how)
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.Handle("/admin/", http.StripPrefix("/admin", dashboard))
	return mux, nil
}
