// Package admin is the page on which an administrator manages API keys: Advanced > Security.
// There a key is added under the name of the system that will use it and copied, once; there
// it is seen when each was last used, and keys are rotated and revoked.
//
// A [Handler] is an http.Handler to mount under any prefix, over any KeyManager:
//
//	hash, err := admin.HashPassword(apikey.NewSecret(os.Getenv("ADMIN_PASSWORD")))
//	...
//	dashboard, err := admin.New(issuer, admin.Options{PasswordHash: hash})
//	...
//	mux.Handle("/admin/", http.StripPrefix("/admin", dashboard))
//
// Mount it beside the API, not behind the Middleware: a key opens no page of the dashboard,
// and the dashboard's cookie opens no route of the API. All links and redirects are
// relative, so it also works behind a proxy that rewrites paths or ends TLS.
//
// # Who is an administrator
//
// Either who knows the password of Options.PasswordHash, or whom Options.Authorize lets in.
// [New] refuses to work without one of them. There is one password and no user name, so there
// is no name to find out. Passwords are argon2id, a few at a time; attempts are limited for each
// address, in each process. A session ends on logout, and when the password is another one; the
// handler's own also after an hour without a request and after 12 hours, and those of
// Options.Sessions when that manager says.
//
// # What protects it
//
// Requests that change something must come from the dashboard's own pages: net/http's
// CrossOriginProtection, a SameSite cookie and, but for login and logout, a form token bound to
// the session each see to that. A new key is in one response only, which no cache may keep; a
// form that makes a key works once in each process. Pages run no script and use no style but
// the handler's own (Content-Security-Policy) and need no script at all.
//
// Each change carries its actor in its context (apikey.WithActor), which stores with an
// audit trail write down with it; the page of a key shows that trail.
package admin
