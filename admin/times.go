package admin

import (
	"fmt"
	"time"
)

// A moment is a time as pages show it, for reading and exactly. The zero moment is never.
type moment struct {
	Machine  string // RFC 3339
	Exact    string // in UTC, since the server cannot know where its reader is
	Relative string
}

func (v *visit) moment(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{t.Format(time.RFC3339), t.Format("2006-01-02 15:04 MST"), v.h.text.relative(t.Sub(v.h.now()))}
}

// relative says how far away a time is: before now if d is negative. What is past is that long
// ago at least; what is to come is as near as can be said.
func (t *Text) relative(d time.Duration) string {
	const (
		day   = 24 * time.Hour
		month = 365 * day / 12
		year  = 365 * day
	)
	texts := [...]string{t.InMinutes, t.InHours, t.Tomorrow, t.InDays, t.InMonths, t.InYears}
	count := func(unit time.Duration) int { return int((d + unit/2) / unit) }
	if d < 0 {
		d = -d
		texts = [...]string{t.MinutesAgo, t.HoursAgo, t.Yesterday, t.DaysAgo, t.MonthsAgo, t.YearsAgo}
		count = func(unit time.Duration) int { return int(d / unit) }
	}
	// Each unit begins where it has a two before it, so that none needs a singular.
	switch {
	case d < time.Minute:
		return t.JustNow
	case d < 2*time.Hour:
		return fmt.Sprintf(texts[0], count(time.Minute))
	case d < day:
		return fmt.Sprintf(texts[1], count(time.Hour))
	case count(day) < 2:
		return texts[2]
	case d < 61*day:
		return fmt.Sprintf(texts[3], count(day))
	case d < 2*year:
		return fmt.Sprintf(texts[4], count(month))
	}
	return fmt.Sprintf(texts[5], count(year))
}
