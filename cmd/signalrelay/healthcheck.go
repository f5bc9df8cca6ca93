package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// healthcheckTimeout is shorter than the usual interval of container probes.
const healthcheckTimeout = 3 * time.Second

type healthcheckCmd struct {
	configFlags `embed:""`
	Admin       string `name:"admin" default:"127.0.0.1:8889" placeholder:"HOST:PORT" help:"Admin address of the relay."`
}

// Run is called by kong. It is for images that hold nothing but the relay.
func (c *healthcheckCmd) Run(ctx context.Context, p *Program) error {
	host, port, err := net.SplitHostPort(c.Admin)
	if err != nil {
		return usageError{fmt.Errorf("admin: %q is not HOST:PORT", c.Admin)}
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1" // listening on all addresses includes this one
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return usageError{err}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 200))
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health check: %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	_, err = fmt.Fprintln(p.Stdout, strings.TrimSpace(string(text)))
	return err
}
