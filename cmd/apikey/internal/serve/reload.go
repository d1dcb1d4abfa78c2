package serve

import (
	"crypto/tls"
	"errors"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/routes"
)

// load reads the rules and the certificate, and uses both from now on. After an error it keeps both previous ones.
func (s *server) load() error {
	var rules *routes.Table
	var cert tls.Certificate
	var errRules, errCert error
	if s.config.rulesFile != "" {
		rules, errRules = routes.Read(s.config.rulesFile)
	}
	if s.config.certFile != "" {
		cert, errCert = tls.LoadX509KeyPair(s.config.certFile, s.config.keyFile)
	}
	if err := errors.Join(errRules, errCert); err != nil {
		return err
	}
	s.rules.Store(rules)
	s.cert.Store(&cert)
	return nil
}

// reload handles SIGHUP.
func (s *server) reload() {
	err := s.load()
	s.metrics.reloaded(err)
	if err != nil {
		s.logger.Error("serve: reload failed; the previous rules and certificate stay in use", "error", err)
		return
	}
	s.logger.Info("serve: reloaded the rules and the certificate")
}

func (s *server) getCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.cert.Load(), nil
}
