package main

import (
	"slices"
	"sync"
)

// An order is an item that a customer has bought.
type order struct {
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
}

func (o order) valid() bool {
	return o.Item != "" && len(o.Item) <= 100 && o.Quantity >= 1 && o.Quantity <= 100
}

// orders are the orders of all customers, in memory. It is safe for concurrent use.
type orders struct {
	mu         sync.Mutex
	byCustomer map[string][]order
}

func newOrders() *orders {
	return &orders{byCustomer: map[string][]order{
		"c-1001": {{"Green tea", 2}, {"Teapot", 1}},
		"c-1002": {{"Black tea", 1}},
	}}
}

func (o *orders) of(customer string) []order {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.byCustomer[customer])
}

func (o *orders) add(customer string, one order) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.byCustomer[customer] = append(o.byCustomer[customer], one)
}

func (o *orders) remove(customer string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.byCustomer, customer)
}
