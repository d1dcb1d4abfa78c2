package manage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/latchkey-dev/apikey"
)

// ReminderOptions configures [NewReminder]. Only Notify is required.
type ReminderOptions struct {
	// Rules says which keys need attention; the zero value means keys that expire within 30 days, 7 days and 1
	// day, and rotated keys that are still used.
	Rules NoticeRules

	// Notify sends a Notice. If it returns an error, the next check calls it again with a Notice of the same
	// ID, whose Key may have changed. A check calls it for one Notice at a time. It must return soon after
	// ctx has ended. To ignore a kind of Notice, return nil.
	Notify func(ctx context.Context, n Notice) error

	// Timeout bounds each call of Notify; 0 means 1 minute. If a process ends during a call, another one
	// repeats it at the first check after twice that time.
	Timeout time.Duration

	// Interval is the time between two checks of Run, which varies it by up to a tenth; 0 means 1 hour. A
	// Notice can be late by about that time.
	Interval time.Duration

	// Logger receives the errors of checks and of single Notices, with the IDs of the Notice and of the
	// key; nil means slog.Default().
	Logger *slog.Logger
}

// A Reminder sends each [Notice] once, however many processes run one. Use it to tell the owner of a key
// that it expires soon. A Reminder is safe for concurrent use.
//
// The store records a Notice after Notify has sent it, so that a restart does not send it again. If the
// process ends before that, or the store does not answer, the Notice is sent again with the same ID.
type Reminder struct {
	session *Session
	noticer apikey.Noticer
	options ReminderOptions
}

// NewReminder returns a Reminder for all keys of a Desk. The error wraps [apikey.ErrInvalid] if an option is
// out of its limits, or if the store is not an [apikey.Noticer] and an [apikey.SuccessorFinder]. The
// stores of this module are.
func NewReminder(d *Desk, o ReminderOptions) (*Reminder, error) {
	if d == nil {
		return nil, invalid("Desk", "nil; want one made by manage.New")
	}
	session, err := d.As(Access{Actor: "reminder", AllOwners: true, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	store := d.issuer.Manager()
	noticer, ok := apikey.StoreAs[apikey.Noticer](store)
	if !ok {
		return nil, invalid("Desk", "%T does not record notices; want a store that is an apikey.Noticer", store)
	}
	if _, ok := apikey.StoreAs[apikey.SuccessorFinder](store); !ok {
		return nil, invalid("Desk", "%T does not find successors; want a store that is an apikey.SuccessorFinder", store)
	}
	if o.Rules, err = session.checkRules(o.Rules); err != nil {
		return nil, err
	}
	switch {
	case o.Notify == nil:
		return nil, invalid("Notify", "nil; want a function that sends a Notice")
	case o.Timeout < 0:
		return nil, invalid("Timeout", "%v: want more than 0, or 0 for 1m", o.Timeout)
	case o.Interval < 0:
		return nil, invalid("Interval", "%v: want more than 0, or 0 for 1h", o.Interval)
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Interval == 0 {
		o.Interval = time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Reminder{session, noticer, o}, nil
}

// Run calls Check at intervals until ctx is done. The first check begins within a tenth of the Interval. Run
// logs errors and continues.
func (r *Reminder) Run(ctx context.Context) {
	tenth := r.options.Interval / 10
	for pause := jitter(tenth); ; pause = r.options.Interval - tenth + jitter(2*tenth) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if _, err := r.Check(ctx); err != nil && ctx.Err() == nil {
			r.options.Logger.ErrorContext(ctx, "manage: cannot send every notice", "error", err)
		}
	}
}

// jitter returns a random duration below the given one.
func jitter(below time.Duration) time.Duration { return rand.N(max(1, below)) }

// Check sends the Notices that are due and were not sent, and returns how many it sent. If a Notice cannot
// be sent, Check continues with the others and returns an error that wraps the first one. If the store
// cannot list keys, Check returns that error at once.
func (r *Reminder) Check(ctx context.Context) (sent int, err error) {
	var first error
	failures := 0
	for page, err := range r.session.noticePages(ctx, r.options.Rules) {
		if err == nil {
			page, err = r.unsent(ctx, page)
		}
		if err != nil {
			return sent, fmt.Errorf("manage: find notices: %w", err)
		}
		for _, n := range page {
			if err := ctx.Err(); err != nil {
				return sent, err
			}
			ok, err := r.send(ctx, n)
			if err != nil {
				r.options.Logger.WarnContext(ctx, "manage: cannot send a notice", "notice", n.ID, "kind", n.Kind, "key", n.Key.ID, "error", err)
				if failures++; first == nil {
					first = err
				}
			}
			if ok {
				sent++
			}
		}
	}
	if first != nil {
		return sent, fmt.Errorf("manage: notices not sent: %d; the first error: %w", failures, first)
	}
	return sent, nil
}

// unsent returns the Notices of a page that were not sent.
func (r *Reminder) unsent(ctx context.Context, page []Notice) ([]Notice, error) {
	ids := make([]string, len(page)) // at most MaxNotices, because a key of the page has at most one Notice here
	for i := range page {
		ids[i] = page[i].ID
	}
	if len(ids) == 0 {
		return nil, nil
	}
	sent, err := r.noticer.SentNotices(ctx, ids)
	var left []Notice
	for _, n := range page {
		if !sent[n.ID] {
			left = append(left, n)
		}
	}
	return left, err
}

// send sends a Notice unless another process sends it or it is no longer due.
func (r *Reminder) send(ctx context.Context, n Notice) (sent bool, err error) {
	now := time.Now()
	// The claim outlasts Notify, so that there is time to record its success.
	claim := apikey.NoticeClaim{ID: n.ID, KeyID: n.Key.ID, At: now, Until: now.Add(2 * r.options.Timeout)}
	claimed, err := r.noticer.ClaimNotice(ctx, claim)
	if errors.Is(err, apikey.ErrNotFound) {
		return false, nil // the key was deleted since
	}
	if err != nil || !claimed {
		return false, err
	}
	due, err := r.isDue(ctx, &n)
	if due && err == nil {
		err = r.notify(ctx, n)
	}
	// The context may have ended, but the store must still record whether the Notice was sent.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.options.Timeout)
	defer cancel()
	if err != nil || !due {
		return false, errors.Join(err, r.noticer.ReleaseNotice(after, claim))
	}
	return true, r.noticer.FinishNotice(after, claim)
}

func (r *Reminder) notify(ctx context.Context, n Notice) error {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	return r.options.Notify(ctx, n)
}

// isDue reads the key again and reports whether the Notice is still due, because the key may have been rotated,
// used or revoked while earlier Notices of its page were sent.
func (r *Reminder) isDue(ctx context.Context, n *Notice) (bool, error) {
	key, err := r.session.Get(ctx, n.Key.ID)
	if errors.Is(err, apikey.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if key.Check(time.Now()) != nil {
		return false, nil
	}
	current, err := r.session.noticesOf(ctx, []apikey.Key{key}, r.options.Rules, n.Kind == NoticeUnused)
	if err != nil || len(current) == 0 || current[0].ID != n.ID {
		return false, err
	}
	*n = current[0]
	return true, nil
}
