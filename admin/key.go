package admin

import (
	"net/http"
	"time"

	"github.com/latchkey-dev/apikey"
)

const (
	expiringSoon = 7 * day
	unusedFor    = 90 * day

	// expiringState is the state of an active key that expires soon.
	expiringState apikey.Status = "expiring"
)

// A keyPage is the page of one key.
type keyPage struct {
	Row      keyRow
	Used     bool   // the store records when keys are used
	Revoked  string // name of the key if it has just been revoked
	Done     string // the change that a form has just made, or ""
	Replaced bool   // the key has a successor, which is the key to rotate
	Resume   bool   // the client may resume keys
	Use      limitUse
	History  history
}

func (v *visit) key() (page, error) {
	row, err := v.requestedKey()
	if err != nil {
		return page{}, err
	}
	replaced, err := v.isReplaced(&row)
	if err != nil {
		return page{}, err
	}
	past, err := v.history(v.id, "./"+v.id)
	if err != nil {
		return page{}, err
	}
	p := keyPage{Row: row, Used: v.h.touched, Revoked: v.justRevoked(), Done: v.justDone(row), Replaced: replaced, Resume: v.mayResume(), Use: v.limitUse(row), History: past}
	return page{view: "key", title: row.Name, content: p}, nil
}

// A keyRow is a key as pages show it.
type keyRow struct {
	apikey.Key
	State     apikey.Status // active, expiring, suspended, expired or revoked
	Word      string        // the State in the language of the page
	Created   moment
	Used      moment
	Expires   moment
	Revoked   moment
	Suspended moment
	Unused    bool // a usable key was used, but not recently
	Usable    bool
	Ended     bool   // the expiry has passed, even if the State is suspended or revoked
	Revocable bool   // usable or suspended
	Successor string // ID of the key that it was rotated to, or ""
	Beyond    string // a scope that the client may not give, so that it can neither rotate nor extend the key; or ""
}

// Few returns the first scopes, so that a row stays low. It returns all scopes if it would leave out
// only one.
func (r keyRow) Few() []string {
	if len(r.Scopes) <= fewScopes+1 {
		return r.Scopes
	}
	return r.Scopes[:fewScopes]
}

// More returns how many scopes Few leaves out.
func (r keyRow) More() int { return len(r.Scopes) - len(r.Few()) }

// requestedKey returns the key with the ID in the path.
func (v *visit) requestedKey() (keyRow, error) {
	key, err := v.keys.Get(v.r.Context(), v.id)
	if err != nil {
		return keyRow{}, err
	}
	rows, err := v.rows([]apikey.Key{key})
	return rows[0], err
}

// rows returns the rows of keys. They name successors if the store finds them.
func (v *visit) rows(keys []apikey.Key) ([]keyRow, error) {
	successors, err := v.keys.Successors(v.r.Context(), keys)
	rows := make([]keyRow, len(keys))
	for i := range keys {
		rows[i] = v.row(&keys[i])
		rows[i].Successor = successors[rows[i].ID]
	}
	return rows, err
}

func (v *visit) row(key *apikey.Key) keyRow {
	now := v.h.now()
	r := keyRow{
		Key: *key, State: apikey.StatusActive, Word: v.t("Active"), Usable: key.Check(now) == nil,
		Created: v.moment(key.CreatedAt), Used: v.moment(key.LastUsedAt), Expires: v.end(key.ExpiresAt), Revoked: v.moment(key.RevokedAt), Suspended: v.moment(key.SuspendedAt),
	}
	r.Ended = !key.ExpiresAt.IsZero() && !key.ExpiresAt.After(now)
	switch {
	case !key.RevokedAt.IsZero():
		r.State, r.Word = apikey.StatusRevoked, v.t("Revoked")
	case !key.SuspendedAt.IsZero():
		r.State, r.Word = apikey.StatusSuspended, v.t("Suspended")
	case !r.Usable:
		r.State, r.Word = apikey.StatusExpired, v.t("Expired")
	case !key.ExpiresAt.IsZero() && key.ExpiresAt.Sub(now) <= expiringSoon:
		r.State, r.Word = expiringState, v.t("Expires soon")
	}
	r.Beyond = v.beyond(key.Scopes)
	r.Revocable = r.Usable || r.State == apikey.StatusSuspended
	r.Unused = r.Usable && v.h.touched && !key.LastUsedAt.IsZero() && now.Sub(key.LastUsedAt) >= unusedFor
	return r
}

// A suspendPage asks whether to suspend a key, or to resume it.
type suspendPage struct {
	Row    keyRow
	Resume bool // the question is whether to resume the key

	MayResume bool // the client may resume keys
}

func (v *visit) suspendForm() (page, error) { return v.askSuspended(true) }

func (v *visit) resumeForm() (page, error) { return v.askSuspended(false) }

func (v *visit) askSuspended(suspend bool) (page, error) {
	row, err := v.requestedKey()
	switch {
	case err != nil:
		return page{}, err
	case row.State == apikey.StatusRevoked:
		return v.revokedKey(), nil
	}
	title := v.t("Suspend key?")
	if !suspend {
		title = v.t("Resume key?")
	}
	return page{view: "suspend", title: title, content: suspendPage{row, !suspend, v.mayResume()}}, nil
}

func (v *visit) suspend() (page, error) { return v.setSuspended(true) }

func (v *visit) resume() (page, error) { return v.setSuspended(false) }

// setSuspended needs no nonce, because the same change again changes nothing.
func (v *visit) setSuspended(suspended bool) (page, error) {
	if err := v.readForm(); err != nil {
		return page{}, err
	}
	key, err := v.keys.Get(v.r.Context(), v.id)
	switch {
	case err != nil:
		return page{}, err
	case !key.RevokedAt.IsZero():
		return v.revokedKey(), nil
	}
	done, set := doneResumed, v.keys.Resume
	if suspended {
		done, set = doneSuspended, v.keys.Suspend
	}
	if _, err := set(v.r.Context(), v.id); err != nil {
		return page{}, err
	}
	return redirect("../" + v.id + "?done=" + done), nil
}

// revokedKey returns the page for a change of a revoked key.
func (v *visit) revokedKey() page {
	return v.errorPage(http.StatusConflict, v.t("Key is revoked"), v.t("A revoked key cannot be changed. Add a new one instead."))
}

// The values of the parameter "done", which names the change that a form has just made.
const (
	doneSuspended = "suspended"
	doneResumed   = "resumed"
	doneChanged   = "changed"
)

// justDone returns the message about the change that the URL names, or "". A forged link can
// say that the key was changed, or a message that agrees with the state of the key.
func (v *visit) justDone(row keyRow) string {
	switch done := v.r.URL.Query().Get("done"); {
	case done == doneSuspended && row.State == apikey.StatusSuspended:
		return v.t("“%s” was suspended.", row.Name)
	case done == doneResumed && row.SuspendedAt.IsZero() && row.RevokedAt.IsZero():
		return v.t("“%s” is no longer suspended.", row.Name)
	case done == doneChanged:
		return v.t("“%s” was changed.", row.Name)
	}
	return ""
}

// A moment is a time as pages show it. The zero moment means never.
type moment struct {
	Machine  string // RFC 3339
	Exact    string // in UTC, because the server does not know the reader's time zone
	Relative string
	Day      bool // Exact is a day, which must not become another day in the reader's time zone
}

func (v *visit) moment(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{
		Machine: t.Format(time.RFC3339), Exact: t.Format("2006-01-02 15:04 MST"), Relative: v.relative(t.Sub(v.h.now())),
	}
}

// end returns the moment at which a key expires. Midnight becomes the end of the day before, because an
// administrator chooses the last day of a key.
func (v *visit) end(t time.Time) moment {
	m := v.moment(t)
	if t = t.UTC(); !t.IsZero() && t.Equal(t.Truncate(24*time.Hour)) {
		m.Day, m.Exact = true, v.t("%s, end of day (UTC)", t.AddDate(0, 0, -1).Format(dateLayout))
	}
	return m
}

const (
	day   = 24 * time.Hour
	month = 365 * day / 12
	year  = 365 * day
)

// relative returns how far away a time is; d is negative for a past time. Each unit begins at two of
// it, so that no text needs a singular.
func (v *visit) relative(d time.Duration) string {
	if d < 0 {
		return v.ago(-d)
	}
	return v.ahead(d)
}

// ago rounds down: a past time is at least that long ago.
func (v *visit) ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return v.t("just now")
	case d < 2*time.Hour:
		return v.t("%d min ago", int(d/time.Minute))
	case d < day:
		return v.t("%d h ago", int(d/time.Hour))
	case d < 2*day:
		return v.t("yesterday")
	case d < 61*day:
		return v.t("%d days ago", int(d/day))
	case d < 2*year:
		return v.t("%d months ago", int(d/month))
	}
	return v.t("%d years ago", int(d/year))
}

// ahead rounds to the nearest unit.
func (v *visit) ahead(d time.Duration) string {
	nearest := func(unit time.Duration) int { return int((d + unit/2) / unit) }
	switch {
	case d < time.Minute:
		return v.t("just now")
	case d < 2*time.Hour:
		return v.t("in %d min", nearest(time.Minute))
	case d < day:
		return v.t("in %d h", nearest(time.Hour))
	case nearest(day) < 2:
		return v.t("tomorrow")
	case d < 61*day:
		return v.t("in %d days", nearest(day))
	case d < 2*year:
		return v.t("in %d months", nearest(month))
	}
	return v.t("in %d years", nearest(year))
}
