package keys

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/keyjson"
)

// printKey prints all fields of a key that have a value.
func printKey(a *cli.App, k apikey.Key) error {
	now := time.Now()
	if a.JSON {
		return a.PrintJSON(keyjson.Of(k, now))
	}
	pairs := [][2]string{{"ID", k.ID}, {"Name", k.Name}, {"Status", string(keyjson.StatusOf(k, now))}}
	add := func(name, value string) {
		if value != "" {
			pairs = append(pairs, [2]string{name, value})
		}
	}
	add("Owner", k.Owner)
	add("Scopes", strings.Join(k.Scopes, " "))
	for _, network := range k.Networks {
		add("Network", network.String())
	}
	for _, limit := range k.Limits {
		add("Limit", limit.String())
	}
	for _, name := range slices.Sorted(maps.Keys(k.Metadata)) {
		add("Metadata", name+"="+k.Metadata[name])
	}
	add("Hint", k.Hint)
	add("Replaces", k.Replaces)
	add("Created", timeText(k.CreatedAt))
	add("Expires", timeText(k.ExpiresAt))
	add("Last used", lastUse(k))
	if !k.SuspendedAt.IsZero() {
		add("Suspended", timeText(k.SuspendedAt))
	}
	if !k.RevokedAt.IsZero() {
		add("Revoked", timeText(k.RevokedAt))
	}
	return console.Fields(a.Out, pairs)
}

func lastUse(k apikey.Key) string {
	text := timeText(k.LastUsedAt)
	if k.LastUsedAddr.IsValid() {
		text += " from " + k.LastUsedAddr.String()
	}
	return text
}

// listHeading is the heading of a list of keys.
var listHeading = []string{"ID", "NAME", "STATUS", "OWNER", "SCOPES", "HINT", "CREATED", "EXPIRES", "LAST USED"}

func listRow(k apikey.Key, now time.Time) []string {
	return []string{k.ID, k.Name, string(keyjson.StatusOf(k, now)), cmp.Or(k.Owner, "-"), cmp.Or(strings.Join(k.Scopes, " "), "-"),
		cmp.Or(k.Hint, "-"), timeText(k.CreatedAt), timeText(k.ExpiresAt), timeText(k.LastUsedAt)}
}

// timeText returns a time in the time zone of the user.
func timeText(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}
