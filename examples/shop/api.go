package main

import (
	"encoding/json"
	"net/http"

	"github.com/latchkey-dev/apikey"
)

// sources are the places where programs put a key. Keys and tokens share the scheme Bearer. Prefixed ignores
// the tokens.
var sources = []apikey.Source{apikey.Header("X-API-Key"), apikey.Prefixed(apikey.Bearer())}

// customersOnly refuses keys without an owner, which only an administrator can make, because the API serves
// the data of one customer.
func customersOnly(_ *http.Request, key *apikey.Key) error {
	if key.Owner == "" {
		return apikey.ErrForbidden
	}
	return nil
}

// addAPI adds the routes of the API. Each serves the caller's own orders.
func (s *shop) addAPI(api *http.ServeMux) {
	add := func(pattern, scope string, handle http.HandlerFunc) {
		api.Handle(pattern, apikey.Require(scope)(s.limits.Handler(handle)))
	}
	add("GET /api/orders", "orders:read", s.listOrders)
	add("POST /api/orders", "orders:write", s.placeOrder)
	add("DELETE /api/orders", "orders:refund", s.refundOrders)
}

func (s *shop) listOrders(w http.ResponseWriter, r *http.Request) {
	caller, _ := apikey.FromContext(r.Context())
	writeJSON(w, http.StatusOK, s.orders.of(caller.Owner))
}

func (s *shop) placeOrder(w http.ResponseWriter, r *http.Request) {
	caller, _ := apikey.FromContext(r.Context())
	var one order
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&one)
	if err != nil || !one.valid() {
		http.Error(w, "Want an item and a quantity of 1 to 100.", http.StatusBadRequest)
		return
	}
	s.orders.add(caller.Owner, one)
	writeJSON(w, http.StatusCreated, one)
}

func (s *shop) refundOrders(w http.ResponseWriter, r *http.Request) {
	caller, _ := apikey.FromContext(r.Context())
	s.orders.remove(caller.Owner)
	w.WriteHeader(http.StatusNoContent)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}
