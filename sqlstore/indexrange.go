package sqlstore

import (
	"math"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// An indexRange is a range of rows in the order of one index. A list reads one or several ranges,
// one after the other, because not every database uses an index for OR or for row values.
type indexRange struct {
	where string
	args  []any
	order string
	index string // "" is the primary key
}

// indexRanges returns the ranges of a list after a position, or of the whole list if follows is
// false. The ranges contain every key of the list. They may also contain keys of another status,
// and keys that do not match the search.
func indexRanges(o apikey.ListOptions, from listing.Position, follows bool, now int64) []indexRange {
	b := rangeBuilder{byName: "apikey_keys_name", byExpiry: "apikey_keys_expires"}
	switch {
	case o.Owner != "":
		b = rangeBuilder{"owner = ? AND owner <> ''", []any{o.Owner}, "apikey_keys_owner", "apikey_keys_owner_name", "apikey_keys_owner_expires"}
	case o.Status == apikey.StatusRevoked:
		b = rangeBuilder{"dead = 1", nil, "apikey_keys_state", "apikey_keys_state_name", "apikey_keys_state_expires"}
	case o.Status == apikey.StatusSuspended:
		b = rangeBuilder{"dead = 2", nil, "apikey_keys_state", "apikey_keys_state_name", "apikey_keys_state_expires"}
	case o.Status != "":
		b = rangeBuilder{"dead = 0", nil, "apikey_keys_state", "apikey_keys_state_name", "apikey_keys_state_expires"}
	}
	switch {
	case o.Sort == apikey.SortExpires:
		return b.expiring(o, from, follows, now)
	case o.Sort == apikey.SortName && follows:
		return []indexRange{b.build("seq", b.byName, "fold = ? AND seq > ?", from.Text, from.Seq), b.build("fold, seq", b.byName, "fold > ?", from.Text)}
	case o.Sort == apikey.SortName:
		return []indexRange{b.build("fold, seq", b.byName, "")}
	case !follows:
		from.Seq = math.MaxInt64
	}
	return []indexRange{b.build("seq DESC", b.byAge, "seq < ?", from.Seq)}
}

// A rangeBuilder builds the ranges of one owner, of one state or of all keys.
type rangeBuilder struct {
	where                   string
	args                    []any
	byAge, byName, byExpiry string // indexes that begin with the columns of where
}

func (b *rangeBuilder) build(order, index, where string, args ...any) indexRange {
	switch {
	case b.where == "" && where == "":
		where = "1 = 1"
	case where == "":
		where = b.where
	case b.where != "":
		where = b.where + " AND " + where
	}
	return indexRange{where, append(append([]any{}, b.args...), args...), order, index}
}

// expiring returns the ranges in the order of expiry, limited to expiries that keys of the status
// can have.
func (b *rangeBuilder) expiring(o apikey.ListOptions, from listing.Position, follows bool, now int64) []indexRange {
	const byTime = "expires_at, seq"
	never := b.build("seq", b.byExpiry, "expires_at = 0")
	var ranges []indexRange
	after := int64(0)
	if follows {
		if from.Time == 0 {
			return []indexRange{b.build("seq", b.byExpiry, "expires_at = 0 AND seq > ?", from.Seq)}
		}
		ranges = []indexRange{b.build("seq", b.byExpiry, "expires_at = ? AND seq > ?", from.Time, from.Seq)}
		after = from.Time
	}
	before := int64(math.MaxInt64)
	if !o.ExpiresBefore.IsZero() {
		before = o.ExpiresBefore.UnixMicro()
	}
	switch o.Status {
	case apikey.StatusExpired:
		before = min(before, now+1)
	case apikey.StatusActive:
		after = max(after, now)
	}
	ranges = append(ranges, b.build(byTime, b.byExpiry, "expires_at > ? AND expires_at < ?", after, before))
	if o.Status == apikey.StatusExpired || !o.ExpiresBefore.IsZero() {
		return ranges
	}
	return append(ranges, never)
}
