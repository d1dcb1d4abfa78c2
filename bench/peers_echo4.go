package main

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// echo4Peers are KeyAuth with a validator that only says yes or no, with one that hands the
// identity on in Echo's context, as its documentation has it, and with one that hands it
// on in the request, so that handlers and middleware written for net/http find it too.
func echo4Peers() []subject {
	const bare = "Echo v4 alone"
	with := func(name string, told identity, tell func(echo.Context, *account)) subject {
		identify := sawAccount
		if told == untold {
			identify = nil
		} else if told == inRequest {
			identify = hasAccount
		}
		return headerPeer("Echo v4 KeyAuth, "+name, bare, told, identify, func(accounts map[string]*account) http.Handler {
			return newEcho4(func(key string, c echo.Context) (bool, error) {
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
		barePeer(bare, newEcho4(nil)),
		with("yes or no", untold, func(echo.Context, *account) {}),
		with("Context.Set", inRouter, func(c echo.Context, a *account) { c.Set("account", a) }),
		with("SetRequest", inRequest, func(c echo.Context, a *account) {
			r := c.Request()
			c.SetRequest(r.WithContext(byValue(r.Context(), a)))
		}),
	}
}

func newEcho4(validate middleware.KeyAuthValidator) http.Handler {
	e := echo.New()
	if validate != nil {
		e.Use(middleware.KeyAuthWithConfig(middleware.KeyAuthConfig{
			KeyLookup: "header:X-API-Key", Validator: validate,
		}))
	}
	e.GET("/library", func(c echo.Context) error {
		if checking {
			seen = c.Get("account")
		}
		escaped = c.Request()
		return c.NoContent(http.StatusOK)
	})
	return e
}
