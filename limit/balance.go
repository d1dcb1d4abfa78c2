package limit

import (
	"math/bits"
	"time"

	"github.com/latchkey-dev/apikey"
)

// unit is one request. A balance counts millionths of a request, so that a steady refill loses nothing.
const unit = 1_000_000

// A balance is the use of one limit. The zero balance is unused.
type balance struct {
	// used is the use in units: of a rolling limit at the time at, or of a quota in the period at.
	used int64
	// at is a time in microseconds, or the number of a day or month.
	at int64
}

// A moment is the time of a decision. A step of the system clock must not change a rolling limit, so its
// time is that of a monotonic clock.
type moment struct {
	micros int64     // of a monotonic clock
	wall   time.Time // UTC
}

// refilled returns the balance at a moment, after the refill since its last use.
func (b balance) refilled(l *apikey.Limit, now moment) balance {
	if l.Calendar == "" {
		return balance{used: max(0, b.used-refill(l, max(0, now.micros-b.at))), at: now.micros}
	}
	period, _ := periodOf(l.Calendar, now.wall)
	if b.at == period || b.at == period+1 {
		return b // even if the clock was set back over the beginning of a period
	}
	return balance{at: period}
}

// wait returns the State.Wait of a refilled balance for a cost.
func (b balance) wait(l *apikey.Limit, now moment, cost int64) time.Duration {
	most := mostAtOnce(l)
	missing := b.used + max(cost, 1)*unit - most*unit // a cost of 0 needs one remaining request
	switch {
	case cost > most:
		return -1
	case missing <= 0:
		return 0
	case l.Calendar != "":
		return b.lasts(l, now)
	}
	return timeFor(l, missing)
}

// state returns the State of a refilled balance, without Wait.
func (b balance) state(l *apikey.Limit, now moment) State {
	return State{Remaining: max(0, mostAtOnce(l)-(b.used+unit-1)/unit), Reset: b.lasts(l, now)}
}

// lasts returns the time for which a refilled balance differs from the zero balance.
func (b balance) lasts(l *apikey.Limit, now moment) time.Duration {
	if l.Calendar != "" {
		_, end := periodOf(l.Calendar, now.wall)
		return end.Sub(now.wall)
	}
	return timeFor(l, b.used)
}

// mostAtOnce returns the most requests that a limit permits at once.
func mostAtOnce(l *apikey.Limit) int64 {
	if l.Burst != 0 {
		return l.Burst
	}
	return l.Requests
}

// refill returns the units that a rolling limit gives back in some microseconds, rounded down.
func refill(l *apikey.Limit, micros int64) int64 {
	hi, lo := bits.Mul64(uint64(micros), uint64(l.Requests)*unit)
	per := uint64(l.Per / time.Microsecond)
	const most = 1 << 62
	if hi >= per {
		return most
	}
	quotient, _ := bits.Div64(hi, lo, per)
	return int64(min(quotient, most))
}

// timeFor returns the time in which a rolling limit gives back some units, rounded up.
func timeFor(l *apikey.Limit, units int64) time.Duration {
	hi, lo := bits.Mul64(uint64(units), uint64(l.Per/time.Microsecond))
	per := uint64(l.Requests) * unit
	if hi >= per {
		return maxWait
	}
	micros, rest := bits.Div64(hi, lo, per)
	if rest > 0 {
		micros++
	}
	if micros >= uint64(maxWait/time.Microsecond) {
		return maxWait
	}
	return time.Duration(micros) * time.Microsecond
}

// maxWait is the longest time that a time.Duration can hold, in whole seconds.
const maxWait = (1<<63 - 1) / time.Second * time.Second

// periodOf returns the number of the day or month at a time in UTC, and its end.
func periodOf(calendar string, at time.Time) (number int64, end time.Time) {
	year, month, day := at.Date()
	if calendar == "month" {
		return int64(year)*12 + int64(month), time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
	}
	end = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
	return end.Unix() / 86400, end
}
