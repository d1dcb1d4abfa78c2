package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"strings"
	"time"
)

// A Mailer sends mail through an SMTP server, with TLS if the server offers it.
type Mailer struct {
	Server string // host and port
	From   string
	Auth   smtp.Auth // nil if the server needs no password
}

// Send sends a mail. The Message-ID contains the ID of the notice, so that mail servers can drop duplicates.
func (m Mailer) Send(ctx context.Context, id, to, subject, body string) error {
	message, err := m.message(id, to, subject, body)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return fmt.Errorf("SMTP server: %w", err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return err
	}
	defer conn.Close()
	// net/smtp does not support contexts.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if err := m.deliver(client, host, to, message); err != nil {
		return fmt.Errorf("mail to %s: %w", to, err)
	}
	return nil
}

func (m Mailer) deliver(client *smtp.Client, host, to string, message []byte) error {
	if ok, _ := client.Extension("STARTTLS"); ok {
		if err := client.StartTLS(&tls.Config{ServerName: host}); err != nil {
			return err
		}
	}
	if m.Auth != nil {
		if err := client.Auth(m.Auth); err != nil {
			return err
		}
	}
	if err := client.Mail(m.From); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	client.Quit() // the server has accepted the mail, so an error here does not matter
	return nil
}

// message returns a mail in the format of RFC 5322. The subject contains the name of a key, which is user input.
// message encodes it, so that it cannot end its header field.
func (m Mailer) message(id, to, subject, body string) ([]byte, error) {
	_, domain, found := strings.Cut(m.From, "@")
	if !found {
		return nil, fmt.Errorf("sender %q: want a mail address", m.From)
	}
	var b bytes.Buffer
	for _, field := range [][2]string{
		{"From", m.From},
		{"To", to},
		{"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Date", time.Now().Format(time.RFC1123Z)},
		{"Message-ID", "<" + id + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: suppresses automatic replies
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		if strings.ContainsAny(field[1], "\r\n") {
			return nil, fmt.Errorf("header field %s: contains a line break", field[0])
		}
		fmt.Fprintf(&b, "%s: %s\r\n", field[0], field[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(body + "\r\n")); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}
