// Package admin serves the dashboard on which people manage API keys. A key is added under the name of
// the program that will use it and is copied once. The dashboard shows when each key was last used. It
// edits, suspends, rotates and revokes keys.
//
// A [Handler] is an http.Handler. It works under any path prefix and over any KeyManager:
//
//	hash, err := admin.HashPassword(apikey.NewSecret(os.Getenv("ADMIN_PASSWORD")))
//	...
//	desk, err := manage.New(issuer)
//	...
//	dashboard, err := admin.New(desk, admin.Options{PasswordHash: hash})
//	...
//	mux.Handle("/admin/", http.StripPrefix("/admin", dashboard))
//
// Mount it beside the API, not behind the Middleware. An API key opens no page of the dashboard, and
// the dashboard's cookie opens no route of the API. All links and redirects are relative, so the
// dashboard also works behind a proxy that rewrites paths or terminates TLS.
//
// # Faces
//
// The [manage.Access] of a visitor decides what the pages show. Package manage checks each change.
//
//   - An administrator (AllOwners) sees and changes every key, as on Emby's page Advanced > Security.
//   - An auditor (AllOwners and ReadOnly) sees every key and the activity, and can change nothing.
//   - An owner (Owner) sees and changes the keys of that owner, on pages for the settings of an account. The
//     forms offer the scopes and the lifetime of the Access. The list shows how many of MaxKeys are in
//     use. The page of another owner's key is the same as that of an unknown one.
//
// Options.Layout shows the pages between the application's own header and footer. The style sheet sets
// only what is inside the element with the class "apikey", and follows the width of that element.
// Fonts and the colour scheme are those of the application. These custom properties of the class
// change the rest, in a style sheet that comes after Page.Head:
//
//	--page --card --hover      backgrounds: of code, of cards and fields, under the pointer
//	--text --soft              text and secondary text
//	--line --edge --round      lines, borders of fields, and the radius of their corners
//	--accent                   links and the focus
//	--fill --onfill            the main button and its text
//	--bad --badback --badfill --onbad, --good --goodback, --warn --warnback    states
//	--mono                     the font of code
//
// # Authentication
//
// Options.PasswordHash or Options.Authorize identifies visitors; [New] refuses to work without one of
// them. A visitor with the password is an administrator. There is one password and no user name, so an
// attacker cannot probe for user names. [HashPassword] makes argon2id hashes and refuses common passwords.
//
// Each process computes a few hashes at a time. It limits wrong passwords for each address, for the
// networks around the address, and for all clients together; see Options.ClientAddr. After a login a
// cookie marks the browser, which then has its own limit, so that an attack does not lock its
// administrator out.
//
// A session ends at the logout and when the password changes. The dashboard's own sessions also end
// after an hour without a request and after 12 hours. Sessions in Options.Sessions end when that
// manager decides.
//
// # Protection
//
// Only the dashboard's own pages can change something: [http.CrossOriginProtection] checks each
// request, and the session cookie is SameSite=Lax. Options.AllowedHosts protects against DNS
// rebinding. GET and HEAD change nothing.
//
// One response shows a new key, and caches must not store it. A form that makes a key works once. A key
// that is pasted into the search or into "Which key is this?" is looked up by its digest, and appears in
// no URL, page or log. The Content-Security-Policy allows only the dashboard's own origin and nothing
// inline. Pages work without a script.
//
// The context of each change names its actor (apikey.WithActor), which a store with an audit trail
// records. The page of a key shows that trail with old and new values. Activity shows the trail of all
// keys.
package admin
