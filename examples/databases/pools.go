// Package databases shows how a service with sqlx or GORM shares its connection pool with package
// sqlstore.
package databases

import (
	"github.com/jmoiron/sqlx"
	"gorm.io/gorm"

	"github.com/latchkey-dev/apikey/sqlstore"
)

// storeOnSqlx returns a store in the database of a *sqlx.DB.
func storeOnSqlx(db *sqlx.DB, dialect sqlstore.Dialect) (*sqlstore.Store, error) {
	return sqlstore.New(db.DB, dialect, sqlstore.Options{})
}

// storeOnGORM returns a store in the database of a *gorm.DB.
func storeOnGORM(db *gorm.DB, dialect sqlstore.Dialect) (*sqlstore.Store, error) {
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	return sqlstore.New(pool, dialect, sqlstore.Options{})
}
