package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/alecthomas/kong"

	"github.com/signalrelay/signalrelay/relay/auth"
)

// stragglers is the time that clients get beyond drain-time to take their
// close.
const stragglers = 5 * time.Second

type serveCmd struct {
	configFlags `embed:""`
	Config      `embed:""`
	Check       bool `name:"check" help:"Validate the configuration and exit."`
	PrintConfig bool `name:"print-config" help:"Print the effective configuration, secrets masked, and exit."`
}

// Run is called by kong.
func (c *serveCmd) Run(ctx context.Context, p *Program, k *kong.Context) error {
	if c.PrintConfig {
		return p.printConfig(&c.Config, k)
	}
	s, err := newService(p, &c.Config)
	if err != nil {
		return err
	}
	if c.Check {
		fmt.Fprintln(p.Stdout, "configuration is valid")
		return nil
	}
	for _, w := range p.layers.warnings {
		s.log.Warn(w)
	}
	return s.run(ctx)
}

// A service is a relay with its two listeners.
type service struct {
	p    *Program
	c    *Config
	log  *slog.Logger
	keys []string
	tls  *tls.Config // nil for plain TCP
}

// newService checks a configuration, opening the files it names. Its errors are
// usage errors.
func newService(p *Program, c *Config) (*service, error) {
	if err := c.validate(); err != nil {
		return nil, usageError{err}
	}
	keys, err := c.keys()
	if err != nil {
		return nil, usageError{err}
	}
	s := &service{p: p, c: c, keys: keys, log: newLogger(p.Stderr, c.LogLevel, c.LogFormat)}
	if c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, usageError{fmt.Errorf("tls-cert: %w", err)}
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	}
	return s, nil
}

// run serves until ctx ends and then drains.
func (s *service) run(ctx context.Context) error {
	keys, err := auth.NewKeys(s.keys...)
	if err != nil {
		return err
	}
	r, err := s.p.newRelay(s.c, keys, s.log)
	if err != nil {
		return err
	}
	defer r.Close()
	l, err := net.Listen("tcp", s.c.Listen)
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	admin, err := startAdmin(s.c, r, s.log)
	if err != nil {
		l.Close()
		return err
	}
	defer admin.close()

	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }() // ends with r.Close
	if err := s.announce(addr, admin.addr()); err != nil {
		return err
	}
	go giveBackMemory(ctx) // ends with ctx
	admin.ready.Store(true)
	s.p.listening(addr, admin.addr())

	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", addr, orClosed(err))
	case err := <-admin.failed:
		return fmt.Errorf("serve %s: %w", admin.addr(), orClosed(err))
	case <-ctx.Done():
	}
	admin.ready.Store(false)
	s.drain(r)
	if err := r.Close(); err != nil {
		s.log.Warn("close", "error", err)
	}
	return <-served
}

// drain sends the clients away. It is not an error that some had to be cut off.
func (s *service) drain(r relayServer) {
	s.log.Info("draining", "clients", r.Stats().Clients, "over", s.c.DrainTime)
	ctx, cancel := context.WithTimeout(context.Background(), s.c.DrainTime+stragglers)
	defer cancel()
	stop := progress(s.log, "draining", func() []any { return []any{"clients", r.Stats().Clients} })
	err := r.Drain(ctx, s.c.DrainTime)
	stop()
	if err != nil {
		s.log.Warn("drained", "left", r.Stats().Clients, "error", err)
		return
	}
	s.log.Info("drained", "left", r.Stats().Clients)
}

// announce prints the connection string that apps need. It holds the access key
// only when that is the public one.
func (s *service) announce(addr, admin string) error {
	c, err := s.c.connectionString(addr, s.keys[0])
	if err != nil {
		return err
	}
	text := c.String()
	if s.keys[0] == developmentKey {
		text = c.Secret()
	}
	s.log.Info("listening", "address", addr, "admin", admin, "tls", s.tls != nil, "keys", len(s.keys), "development", s.keys[0] == developmentKey)
	_, err = fmt.Fprintf(s.p.Stdout, "ConnectionString: %s\n", text)
	return err
}

// orClosed is err, or an error for a listener that ended without one.
func orClosed(err error) error {
	if err == nil {
		return errors.New("listener closed")
	}
	return err
}
