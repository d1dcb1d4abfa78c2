package admin

import (
	"net/netip"
	"sync"
	"time"
)

const (
	maxAttempts   = 10               // logins of one address in a row
	attemptEvery  = 10 * time.Second // one more is allowed after this long
	maxAddresses  = 4096             // remembered at once; the others share one allowance
	otherAddress  = ""
	ipv6SiteBits  = 64 // what one subscriber has
	fullAllowance = maxAttempts * attemptEvery
)

// attempts counts logins for each address and says when there are too many.
type attempts struct {
	now  func() time.Time
	mu   sync.Mutex
	free map[string]time.Time // when an address will have its full allowance again
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, free: map[string]time.Time{}}
}

// take returns 0 if address may try, or for how long it has to wait.
func (a *attempts) take(address string) (wait time.Duration) {
	address = subscriber(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	free, known := a.free[address]
	if !known && len(a.free) >= maxAddresses {
		if a.forget(now); len(a.free) >= maxAddresses {
			address = otherAddress
			free = a.free[address]
		}
	}
	if free.Before(now) {
		free = now
	}
	free = free.Add(attemptEvery)
	if wait := free.Sub(now) - fullAllowance; wait > 0 {
		return wait
	}
	a.free[address] = free
	return 0
}

// succeeded gives an address its full allowance back.
func (a *attempts) succeeded(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.free, subscriber(address))
}

func (a *attempts) forget(now time.Time) {
	for address, free := range a.free {
		if !free.After(now) {
			delete(a.free, address)
		}
	}
}

// subscriber returns what stands for all addresses that one subscriber can choose from.
func subscriber(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap(); ip.Is6() {
		if site, err := ip.WithZone("").Prefix(ipv6SiteBits); err == nil {
			return site.String()
		}
	}
	return ip.String()
}
