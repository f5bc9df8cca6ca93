package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/signalrelay/signalrelay/conformance/suite"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// endpoint is the hub or mount at a URL.
func (c *hubFlags) endpoint(at string) (*suite.Endpoint, error) {
	if at == "" {
		return nil, errors.New("give the URL of the endpoint")
	}
	u, err := httpURL(at)
	if err != nil {
		return nil, err
	}
	if c.BackEnd != "" {
		if _, err := httpURL(c.BackEnd); err != nil {
			return nil, fmt.Errorf("back-end: %w", err)
		}
	}
	query, err := pairs("query", c.Query)
	if err != nil {
		return nil, err
	}
	e := &suite.Endpoint{URL: u, Query: url.Values{}, BackEnd: strings.TrimSuffix(c.BackEnd, "/")}
	for name, value := range query {
		e.Query.Set(name, value)
	}
	return e, nil
}

func httpURL(at string) (*url.URL, error) {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no http or https URL", at)
	}
	return u, nil
}

// pairs reads the values of a flag that are NAME=VALUE.
func pairs(flag string, all []string) (map[string]string, error) {
	values := map[string]string{}
	for _, pair := range all {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%s: %q is not NAME=VALUE", flag, pair)
		}
		values[name] = value
	}
	return values, nil
}

// serviceEndpoint is the service of a connection string.
func serviceEndpoint(text string) (*suite.Endpoint, error) {
	if text == "" {
		return nil, errors.New("give the connection string of the service")
	}
	at, err := auth.ParseConnectionString(text)
	if err != nil {
		return nil, err
	}
	if at.AccessKey == "" {
		return nil, errors.New("connection string: an AccessKey is needed, tokens are signed with it")
	}
	return &suite.Endpoint{URL: at.Endpoint, AccessKey: at.AccessKey}, nil
}

// reachable is the probe of a transcript, of which nothing else is known.
func reachable(ctx context.Context, e *suite.Endpoint) (map[suite.Level]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodOptions, e.URL.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	return nil, resp.Body.Close()
}
