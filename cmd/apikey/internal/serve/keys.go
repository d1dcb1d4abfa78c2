package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/rehash"
)

// keys holds everything that the handlers share: the database, the cache in front of it, the desk that
// changes go through, and the backend that counts limits.
type keys struct {
	db     *database.Database
	cache  *cachestore.Store
	format *apikey.Format
	desk   *manage.Desk
	limits limit.Backend
	adopt  func(context.Context, apikey.Secret) (*apikey.Key, error) // nil without --adopt

	redis     *redis.Client // nil without Redis
	stop      context.CancelFunc
	listening sync.WaitGroup
}

// openKeys opens the database, the cache and the backend of limits. It succeeds even if the database does not answer,
// unless --migrate is set. The server then answers 503 to every key until the database answers.
func openKeys(ctx context.Context, app *cli.App, c *config, logger *slog.Logger) (_ *keys, err error) {
	k := &keys{stop: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.close())
		}
	}()
	if k.limits, err = k.openLimits(c); err != nil {
		return nil, err
	}
	open := app.ExistingDatabase
	if c.migrate {
		open = app.Database
	}
	if k.db, err = open(); err != nil {
		return nil, err
	}
	if c.migrate {
		if err = k.db.Store.Migrate(ctx); err != nil {
			return nil, err
		}
	}
	desk, issuer, err := app.Desk(k.db)
	if err != nil {
		return nil, err
	}
	k.desk, k.format = desk, issuer.Format()
	if k.cache, err = cachestore.New(k.db.Store, cachestore.Options{Logger: logger}); err != nil {
		return nil, err
	}
	if k.adopt, err = k.adopter(c, issuer); err != nil {
		return nil, err
	}
	if k.db.Listen != nil {
		listen, stop := context.WithCancel(context.WithoutCancel(ctx))
		k.stop = stop
		k.listening.Go(func() { k.db.Listen(listen, k.cache.Wake) })
	}
	return k, nil
}

// adopter returns the function that proves pending keys, or nil without --adopt.
func (k *keys) adopter(c *config, issuer *apikey.Issuer) (func(context.Context, apikey.Secret) (*apikey.Key, error), error) {
	schemes, err := c.schemes()
	if err != nil || len(schemes) == 0 {
		return nil, err
	}
	if _, onlyOwn := issuer.Format().DigestSHA256([32]byte{}); onlyOwn != nil {
		return nil, cli.Usage(errors.New("--adopt: keys of other systems need --allow-imported"))
	}
	adopter, err := rehash.New(k.cache, issuer, rehash.Options{Schemes: schemes})
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--adopt: %w", err))
	}
	return adopter.Adopt, nil
}

// openLimits returns the backend that counts limits: Redis, or the memory of this process.
func (k *keys) openLimits(c *config) (limit.Backend, error) {
	if c.redisURL.Reveal() == "" {
		return limit.Memory(), nil
	}
	o, err := redis.ParseURL(c.redisURL.Reveal())
	if err != nil {
		return nil, cli.Usage(errors.New("--redis: want a URL such as redis://127.0.0.1:6379/0")) // err may show the password
	}
	o.ContextTimeoutEnabled, o.MaxRetries, o.DialTimeout = true, -1, time.Second
	client := redis.NewClient(o)
	k.redis = client
	return limit.Redis(func(ctx context.Context, script string, keys, args []string) (any, error) {
		return client.Eval(ctx, script, keys, args).Result()
	}), nil
}

// close closes everything that openKeys opened, in reverse order. It writes the last uses of keys.
func (k *keys) close() (err error) {
	k.stop()
	k.listening.Wait()
	if k.cache != nil {
		k.cache.Close()
	}
	if k.db != nil {
		err = k.db.Close()
	}
	if k.redis != nil {
		err = errors.Join(err, k.redis.Close())
	}
	return err
}
