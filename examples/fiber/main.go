// Command fiber is a service with Fiber. It has public and protected routes, a scope for each
// protected route, a rate limit for each key, and an access log without keys.
package main

import (
	"io"
	"net"
	"os"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/logger"
	"github.com/gofiber/fiber/v3/middleware/recover"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	demo.ServeOn(apikey.Options{}, func(listener net.Listener, auth *apikey.Middleware) error {
		return newApp(auth, 600, os.Stdout).Listener(listener, fiber.ListenConfig{DisableStartupMessage: true})
	})
}

// newApp returns the routes. Each key may send perHour requests an hour.
func newApp(auth *apikey.Middleware, perHour int, accessLog io.Writer) *fiber.App {
	// By default Fiber also serves /LIBRARY/, which a rule of Options.Authorize about /library would miss.
	app := fiber.New(fiber.Config{CaseSensitive: true, StrictRouting: true})
	app.Use(wrap(auth.Conceal)) // first, so that the logger sees no key
	app.Use(logger.New(logger.Config{Format: "${method} ${url} ${status}\n", Stream: accessLog}))
	app.Use(recover.New())

	app.Get("/health", func(c fiber.Ctx) error { return c.SendString("ok\n") })
	protected := app.Group("/", wrap(auth.Handler))
	limited := wrap(demo.PerHour(perHour).Handler) // after Require, so that a refused request spends nothing
	protected.Get("/library", wrap(apikey.Require("library:read")), limited, read)
	protected.Post("/library", wrap(apikey.Require("library:write")), limited, write)
	return app
}

func read(c fiber.Ctx) error {
	key, _ := apikey.FromContext(c.Context())
	return c.SendString("Hello, " + key.Name + "!\n")
}

func write(c fiber.Ctx) error {
	key, _ := apikey.FromContext(c.Context())
	return c.Status(fiber.StatusCreated).SendString("Written for " + key.Name + ".\n")
}
