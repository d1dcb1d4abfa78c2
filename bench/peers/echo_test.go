package peers

import (
	"context"
	"net/http"

	echo4 "github.com/labstack/echo/v4"
	middleware4 "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	middleware5 "github.com/labstack/echo/v5/middleware"

	"github.com/latchkey-dev/apikey/bench/interleave"
)

// echo4Peers returns KeyAuth with three validators. The first only accepts or refuses a key. The second puts the identity
// into Echo's context, as Echo's documentation does. The third puts it into the request, where net/http handlers find it.
func echo4Peers(known accounts, inHeader func(name string, with, bare http.Handler) peer) []peer {
	router := func(middlewares ...echo4.MiddlewareFunc) http.Handler {
		e := echo4.New()
		e.Use(middlewares...)
		e.GET("/library", func(c echo4.Context) error {
			interleave.Last = c.Request()
			return c.NoContent(http.StatusOK)
		})
		return e
	}
	with := func(name string, set func(echo4.Context, *account)) peer {
		validate := func(key string, c echo4.Context) (bool, error) {
			a, ok := known[key]
			if ok {
				set(c, a)
			}
			return ok, nil
		}
		auth := middleware4.KeyAuthWithConfig(middleware4.KeyAuthConfig{KeyLookup: "header:X-API-Key", Validator: validate})
		return inHeader("Echo v4 KeyAuth, "+name, router(auth), router())
	}
	return []peer{
		with("yes or no", func(echo4.Context, *account) {}),
		with("Context.Set", func(c echo4.Context, a *account) { c.Set("account", a) }),
		with("SetRequest", func(c echo4.Context, a *account) {
			c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), accountKey{}, a)))
		}),
	}
}

// echo5Peers is like echo4Peers for Echo v5.
func echo5Peers(known accounts, inHeader func(name string, with, bare http.Handler) peer) []peer {
	router := func(middlewares ...echo5.MiddlewareFunc) http.Handler {
		e := echo5.New()
		e.Use(middlewares...)
		e.GET("/library", func(c *echo5.Context) error {
			interleave.Last = c.Request()
			return c.NoContent(http.StatusOK)
		})
		return e
	}
	with := func(name string, set func(*echo5.Context, *account)) peer {
		validate := func(c *echo5.Context, key string, _ middleware5.ExtractorSource) (bool, error) {
			a, ok := known[key]
			if ok {
				set(c, a)
			}
			return ok, nil
		}
		auth := middleware5.KeyAuthWithConfig(middleware5.KeyAuthConfig{KeyLookup: "header:X-API-Key", Validator: validate})
		return inHeader("Echo v5 KeyAuth, "+name, router(auth), router())
	}
	return []peer{
		with("yes or no", func(*echo5.Context, *account) {}),
		with("Context.Set", func(c *echo5.Context, a *account) { c.Set("account", a) }),
		with("SetRequest", func(c *echo5.Context, a *account) {
			c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), accountKey{}, a)))
		}),
	}
}
