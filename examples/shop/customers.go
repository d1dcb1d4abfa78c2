package main

import (
	"errors"
	"net/http"
	"slices"

	"golang.org/x/crypto/bcrypt"
)

// A customer has an account. Staff are customers who also see the admin page.
type customer struct {
	id, email, name string
	passwordHash    string // bcrypt
	staff           bool

	demoPassword string // only to print it
}

// customers are the accounts of the demonstration. Their IDs never change, unlike an email address,
// so they are the owners of keys.
var customers = []customer{
	{id: "c-1001", email: "alice@example.com", name: "Alice", demoPassword: "alices-teapot",
		passwordHash: "$2a$10$4R033z7CwszfaqE/WXo/9ur/lkDK36qrQSfa0niAv4Y9YC.iCtVxC"},
	{id: "c-1002", email: "bob@example.com", name: "Bob", demoPassword: "bobs-teapot",
		passwordHash: "$2a$10$XReFzqVlkFRUsHUss/kH9uUDvxANz9mVVCJ/UYwntqcaj3TOKc9W2"},
	{id: "c-1003", email: "carol@example.com", name: "Carol", staff: true, demoPassword: "carols-teapot",
		passwordHash: "$2a$10$.FSxhyVm82tXlvTOk21SuO3zDQZWFrXlQLr4CmsIiQfoZTdM3Ty/2"},
}

var errLogin = errors.New("shop: unknown email address or wrong password")

// checkPassword returns the customer with an email address and a password. A shop on the internet must
// also limit wrong passwords, as package admin does for its own login.
func checkPassword(email, password string) (customer, error) {
	i := slices.IndexFunc(customers, func(c customer) bool { return c.email == email })
	c := customers[max(i, 0)] // hash the password of an unknown address too, so that both take as long
	if bcrypt.CompareHashAndPassword([]byte(c.passwordHash), []byte(password)) != nil || i < 0 {
		return customer{}, errLogin
	}
	return c, nil
}

var errLoggedOut = errors.New("shop: not logged in")

// customer returns the customer of a session.
func (s *shop) customer(r *http.Request) (customer, error) {
	id := s.sessions.GetString(r.Context(), "customer")
	for _, c := range customers {
		if c.id == id {
			return c, nil
		}
	}
	return customer{}, errLoggedOut
}
