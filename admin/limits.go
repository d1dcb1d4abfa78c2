package admin

import (
	"log/slog"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// typedLimits returns the limits in a text, or the problem with one.
func (v *visit) typedLimits(text string) (limits []apikey.Limit, problem string) {
	for word := range strings.FieldsSeq(text) {
		if _, err := apikey.ParseLimits(word); err != nil {
			return nil, v.t("“%s” is not a limit. Enter limits such as “api=100/1m” or “quota=10000/month”: a name of at most 30 lowercase letters and digits, and 1 to 1,000,000,000 requests in 1 ms to 366 days.", word)
		}
	}
	limits, err := apikey.ParseLimits(text)
	if err != nil {
		return nil, v.t("Enter at most 8 limits, and each name once.")
	}
	return limits, ""
}

// limitsText returns limits as the form shows them.
func limitsText(limits []apikey.Limit) string { return strings.Join(limitWords(limits), " ") }

func limitWords(limits []apikey.Limit) []string {
	var words []string
	for _, l := range limits {
		words = append(words, l.String())
	}
	return words
}

// A limitUse is the remaining use of a key within its limits.
type limitUse struct {
	Unknown bool // the Limiter does not answer
	Rows    []useRow
}

// A useRow is the remaining use within one limit.
type useRow struct {
	Name, Left string
	Full       moment // when the limit is full again; the zero moment if it is full now
}

// limitUse returns the use of a key that may be used or is suspended. An outage of the Limiter does not
// hide the key.
func (v *visit) limitUse(row keyRow) (use limitUse) {
	if v.h.limiter == nil || !row.Revocable {
		return limitUse{}
	}
	all, err := v.h.limiter.Use(v.r.Context(), &row.Key)
	if err != nil {
		v.h.log(slog.LevelError, v.r, "the limiter failed", "error", err)
		return limitUse{Unknown: true}
	}
	now := v.h.now()
	for _, u := range all {
		most := u.Limit.Requests
		if u.Limit.Burst != 0 {
			most = u.Limit.Burst
		}
		left := useRow{Name: u.Limit.Name, Left: v.t("%d of %d", u.Remaining, most)}
		if u.Remaining < most {
			left.Full = v.moment(now.Add(u.Reset))
			if u.Reset < 2*time.Minute {
				left.Full.Relative = v.t("in %d s", int((u.Reset+time.Second-1)/time.Second))
			}
		}
		use.Rows = append(use.Rows, left)
	}
	return use
}
