package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/extractors"
	"github.com/gofiber/fiber/v3/middleware/keyauth"
	"github.com/valyala/fasthttp"
)

// fiberPeers are as echo4Peers. Fiber runs on fasthttp, whose requests are used again by
// design, so what a request costs is not all there is to compare.
func fiberPeers() []subject {
	const bare = "Fiber v3 alone"
	with := func(name string, told identity, tell func(fiber.Ctx, *account)) subject {
		return fiberPeer("Fiber v3 keyauth, "+name, bare, told, func(accounts map[string]*account) fiberValidator {
			return func(c fiber.Ctx, key string) (bool, error) {
				a := accounts[key]
				if a == nil {
					return false, nil
				}
				tell(c, a)
				return true, nil
			}
		})
	}
	return []subject{
		fiberPeer(bare, "", untold, nil),
		with("yes or no", untold, func(fiber.Ctx, *account) {}),
		with("Locals", inRouter, func(c fiber.Ctx, a *account) { c.Locals(accountKey{}, a) }),
		with("SetContext", inRequest, func(c fiber.Ctx, a *account) { c.SetContext(byValue(c.Context(), a)) }),
	}
}

type fiberValidator = func(fiber.Ctx, string) (bool, error)

// reached tells that Fiber's handler ran.
var reached fiber.Ctx

func fiberPeer(name, bare string, told identity, validator func(map[string]*account) fiberValidator) subject {
	return subject{name: name, bare: bare, told: told, setup: func(f *fixture) (trial, error) {
		accounts, key, wrong, err := f.plainAccounts()
		if err != nil {
			return trial{}, err
		}
		app := fiber.New()
		if validator != nil {
			app.Use(keyauth.New(keyauth.Config{
				Extractor: extractors.FromHeader("X-API-Key"), Validator: validator(accounts),
			}))
		}
		app.Get("/library", func(c fiber.Ctx) error {
			if checking {
				if seen = c.Locals(accountKey{}); seen == nil {
					seen = c.Context().Value(accountKey{})
				}
			}
			reached = c
			c.Status(http.StatusOK)
			return nil
		})
		right := newFiberExchange(app, key)
		return trial{once: right.once, check: func() error {
			seen, reached = nil, nil
			if err := right.status(http.StatusOK); err != nil {
				return err
			}
			if reached == nil || told != untold && !sawAccount(nil) {
				return errors.New("the handler was not reached, or does not know who is calling")
			}
			if validator == nil {
				return nil
			}
			reached = nil
			if err := newFiberExchange(app, wrong).status(http.StatusUnauthorized); err != nil {
				return fmt.Errorf("with a wrong key: %w", err)
			}
			if reached != nil {
				return errors.New("a wrong key reached the handler")
			}
			return nil
		}}, nil
	}}
}

// A fiberExchange is an exchange for fasthttp.
type fiberExchange struct {
	serve fasthttp.RequestHandler
	ctx   *fasthttp.RequestCtx
}

func newFiberExchange(app *fiber.App, key string) *fiberExchange {
	e := &fiberExchange{serve: app.Handler(), ctx: new(fasthttp.RequestCtx)}
	header := &e.ctx.Request.Header
	header.SetMethod(http.MethodGet)
	header.SetHost("localhost:8096")
	header.SetUserAgent("curl/8.5.0")
	header.Set("Accept", "*/*")
	header.Set("X-API-Key", key)
	e.ctx.Request.SetRequestURI("/library")
	return e
}

// once empties what fasthttp's server empties between two requests, but for the request,
// which is the same again.
func (e *fiberExchange) once() {
	e.ctx.ResetUserValues()
	e.ctx.Response.Reset()
	e.serve(e.ctx)
}

func (e *fiberExchange) status(want int) error {
	if e.once(); e.ctx.Response.StatusCode() != want {
		return fmt.Errorf("status %d, want %d", e.ctx.Response.StatusCode(), want)
	}
	return nil
}
