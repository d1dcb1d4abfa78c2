package keys

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/manage"
)

// A Session manages keys in a database or through a server. Its methods are those of a manage.Session.
type Session interface {
	List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error)
	Get(ctx context.Context, id string) (apikey.Key, error)
	Identify(ctx context.Context, secret apikey.Secret) (apikey.Key, error)
	Issue(ctx context.Context, k apikey.NewKey, requestID string) (apikey.Secret, apikey.Key, error)
	Update(ctx context.Context, id, version string, p apikey.Patch) (apikey.Key, error)
	Rotate(ctx context.Context, id string, grace time.Duration, requestID string) (apikey.Secret, apikey.Key, error)
	Suspend(ctx context.Context, id string) (apikey.Key, error)
	Resume(ctx context.Context, id string) (apikey.Key, error)
	Revoke(ctx context.Context, id string) (apikey.Key, error)
	RevokeAll(ctx context.Context, owner string) (int, error)
	History(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error)
}

// open opens a Session for the server or the database that the flags name. In a database the Session may do
// everything, because every user with write access to the database can.
func open(a *cli.App) (_ Session, closeSession func() error, err error) {
	server, err := a.Server()
	if err != nil {
		return nil, nil, err
	}
	if server != nil {
		return server, func() error { return nil }, nil
	}
	actor, err := a.Actor()
	if err != nil {
		return nil, nil, err
	}
	db, err := a.ExistingDatabase()
	if err != nil {
		return nil, nil, err
	}
	desk, _, err := a.Desk(db)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	session, err := desk.As(manage.Access{Actor: actor, AllOwners: true, AnyScope: true})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return session, db.Close, nil
}
