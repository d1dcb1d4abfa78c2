package peers

import (
	"context"
	"net/http"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/extractors"
	"github.com/gofiber/fiber/v3/middleware/keyauth"
	"github.com/valyala/fasthttp"

	"github.com/latchkey-dev/apikey/bench/interleave"
)

// fiberPeers is like echo4Peers for Fiber. Fiber runs on fasthttp, which reuses requests, so the time of a request is
// only one of the differences.
func fiberPeers(known accounts, right, wrong string) []peer {
	router := func(middlewares ...fiber.Handler) *fiber.App {
		app := fiber.New()
		for _, m := range middlewares {
			app.Use(m)
		}
		app.Get("/library", func(c fiber.Ctx) error {
			c.Status(http.StatusOK)
			return nil
		})
		return app
	}
	with := func(name string, set func(fiber.Ctx, *account)) peer {
		validate := func(c fiber.Ctx, key string) (bool, error) {
			a, ok := known[key]
			if ok {
				set(c, a)
			}
			return ok, nil
		}
		app := router(keyauth.New(keyauth.Config{Extractor: extractors.FromHeader("X-API-Key"), Validator: validate}))
		request, bare := newFiberRequest(app, right), newFiberRequest(router(), right)
		return peer{"Fiber v3 keyauth, " + name, interleave.Func(func() { request() }), interleave.Func(func() { bare() }),
			request, newFiberRequest(app, wrong)}
	}
	return []peer{
		with("yes or no", func(fiber.Ctx, *account) {}),
		with("Locals", func(c fiber.Ctx, a *account) { c.Locals(accountKey{}, a) }),
		with("SetContext", func(c fiber.Ctx, a *account) { c.SetContext(context.WithValue(c.Context(), accountKey{}, a)) }),
	}
}

// newFiberRequest returns a function that serves one request and returns the status of the response.
func newFiberRequest(app *fiber.App, key string) func() int {
	serve, ctx := app.Handler(), new(fasthttp.RequestCtx)
	header := &ctx.Request.Header
	header.SetMethod(http.MethodGet)
	header.SetHost("localhost:8096")
	header.SetUserAgent("curl/8.5.0")
	header.Set("Accept", "*/*")
	header.Set("X-API-Key", key)
	ctx.Request.SetRequestURI("/library")
	return func() int {
		// fasthttp's server clears these between two requests. It also clears the request.
		ctx.ResetUserValues()
		ctx.Response.Reset()
		serve(ctx)
		return ctx.Response.StatusCode()
	}
}
