package admin

// A route answers one method of one path. A request becomes a visit, serve turns the visit into a page,
// and visit.send writes the page.
type route struct {
	pattern string // of http.ServeMux
	serve   func(*visit) (page, error)
	public  bool // serves clients that are not logged in

	// form lists the fields that survive a login or an outage, after which the client can send the form
	// again. The GET route at the same path shows them. A field must not hold a secret. A nil form
	// cannot be sent again.
	form []string

	changes  bool // changes keys, or asks for that
	everyone bool // shows the keys of all owners
}

// routes lists all pages. Paths are relative to the dashboard.
func routes() []route {
	return []route{
		{pattern: "GET /{$}", serve: (*visit).list},
		{pattern: "POST /{$}", serve: (*visit).search},
		{pattern: "GET /identify", serve: (*visit).identifyForm},
		{pattern: "POST /identify", serve: (*visit).identify},
		{pattern: "GET /activity", serve: (*visit).activity, everyone: true},
		{pattern: "GET /add", serve: (*visit).addForm, changes: true},
		{pattern: "POST /add", serve: (*visit).add, form: keyFields, changes: true},
		{pattern: "GET /keys.csv", serve: (*visit).exportCSV},
		{pattern: "GET /keys.json", serve: (*visit).exportJSON},
		{pattern: "GET /revoke", serve: (*visit).revokeSelectedForm, changes: true},
		{pattern: "POST /revoke", serve: (*visit).revokeSelected, form: []string{"id", "list"}, changes: true},
		{pattern: "GET /revoke-owner", serve: (*visit).revokeOwnerForm, changes: true},
		{pattern: "POST /revoke-owner", serve: (*visit).revokeOwner, form: []string{"owner", "confirm"}, changes: true},
		{pattern: "GET /keys/{id}", serve: (*visit).key},
		{pattern: "GET /keys/{id}/edit", serve: (*visit).editForm, changes: true},
		{pattern: "POST /keys/{id}/edit", serve: (*visit).edit, form: keyFields, changes: true},
		{pattern: "GET /keys/{id}/rotate", serve: (*visit).rotateForm, changes: true},
		{pattern: "POST /keys/{id}/rotate", serve: (*visit).rotate, form: []string{"grace"}, changes: true},
		{pattern: "GET /keys/{id}/suspend", serve: (*visit).suspendForm, changes: true},
		{pattern: "POST /keys/{id}/suspend", serve: (*visit).suspend, form: []string{}, changes: true},
		{pattern: "GET /keys/{id}/resume", serve: (*visit).resumeForm, changes: true},
		{pattern: "POST /keys/{id}/resume", serve: (*visit).resume, form: []string{}, changes: true},
		{pattern: "GET /keys/{id}/revoke", serve: (*visit).revokeForm, changes: true},
		{pattern: "POST /keys/{id}/revoke", serve: (*visit).revoke, form: []string{}, changes: true},
	}
}

// loginRoutes lists the pages of a dashboard with a password.
func loginRoutes() []route {
	return []route{
		{pattern: "GET /login", serve: (*visit).loginForm, public: true},
		{pattern: "POST /login", serve: (*visit).login, public: true},
		{pattern: "POST /logout", serve: (*visit).logout, public: true},
	}
}
