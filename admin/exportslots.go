package admin

import "sync"

// maxOwnerExports is the maximum number of owners for whom the dashboard makes files at the same time.
const maxOwnerExports = 3

// exportSlots bounds the files that are made at the same time, because each needs memory and reads the
// store. An owner has one of maxOwnerExports slots, and all administrators share a slot that no owner can take.
// The zero value has every slot free. It is safe for concurrent use.
type exportSlots struct {
	mu     sync.Mutex
	owners map[string]bool // whose file is being made; "" stands for the administrators
}

// take takes the slot of an owner, or that of the administrators if owner is "". It does not wait.
func (s *exportSlots) take(owner string) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owners := len(s.owners)
	if s.owners[""] {
		owners--
	}
	if s.owners[owner] || owner != "" && owners >= maxOwnerExports {
		return nil, false
	}
	if s.owners == nil {
		s.owners = map[string]bool{}
	}
	s.owners[owner] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.owners, owner)
	}, true
}
