package main

import (
	"net/http"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"
)

// echo5Peers are as echo4Peers.
func echo5Peers() []subject {
	const bare = "Echo v5 alone"
	with := func(name string, told identity, tell func(*echo.Context, *account)) subject {
		identify := sawAccount
		if told == untold {
			identify = nil
		} else if told == inRequest {
			identify = hasAccount
		}
		return headerPeer("Echo v5 KeyAuth, "+name, bare, told, identify, func(accounts map[string]*account) http.Handler {
			return newEcho5(func(c *echo.Context, key string, _ middleware.ExtractorSource) (bool, error) {
				a := accounts[key]
				if a == nil {
					return false, nil
				}
				tell(c, a)
				return true, nil
			})
		})
	}
	return []subject{
		barePeer(bare, newEcho5(nil)),
		with("yes or no", untold, func(*echo.Context, *account) {}),
		with("Context.Set", inRouter, func(c *echo.Context, a *account) { c.Set("account", a) }),
		with("SetRequest", inRequest, func(c *echo.Context, a *account) {
			r := c.Request()
			c.SetRequest(r.WithContext(byValue(r.Context(), a)))
		}),
	}
}

func newEcho5(validate middleware.KeyAuthValidator) http.Handler {
	e := echo.New()
	if validate != nil {
		e.Use(middleware.KeyAuthWithConfig(middleware.KeyAuthConfig{
			KeyLookup: "header:X-API-Key", Validator: validate,
		}))
	}
	e.GET("/library", func(c *echo.Context) error {
		if checking {
			seen = c.Get("account")
		}
		escaped = c.Request()
		return c.NoContent(http.StatusOK)
	})
	return e
}
