package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

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
	header, err := c.header()
	if err != nil {
		return nil, err
	}
	return &suite.Endpoint{URL: u, Query: query, Header: header, BackEnd: strings.TrimSuffix(c.BackEnd, "/")}, nil
}

func httpURL(at string) (*url.URL, error) {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no http or https URL", at)
	}
	return u, nil
}

// ownFields are those by which a request is framed and a WebSocket opened.
var ownFields = regexp.MustCompile(`^(Host|Connection|Upgrade|Content-Length|Transfer-Encoding|Sec-Websocket-.*)$`)

// oneField is a field of a header: a name of RFC 9110 section 5.6.2, and a value on
// one line.
var oneField = regexp.MustCompile("^([-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0A-\x1F\x7F]*[^\x00-\x20\x7F])[ \t]*$")

// header is what the flag asks for. An error tells no value, which is a secret.
func (c *loginFlags) header() (http.Header, error) {
	h := http.Header{}
	for i, field := range c.Header {
		found := oneField.FindStringSubmatch(field)
		if found == nil {
			return nil, fmt.Errorf("header: number %d is not \"NAME: VALUE\"", i+1)
		}
		if name := http.CanonicalHeaderKey(found[1]); ownFields.MatchString(name) {
			return nil, fmt.Errorf("header: %s is not to be given: each request has its own", name)
		}
		h.Add(found[1], found[2])
	}
	return h, nil
}

// pairs reads the values of a flag that are NAME=VALUE.
func pairs(flag string, all []string) (url.Values, error) {
	values := url.Values{}
	for _, pair := range all {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%s: %q is not NAME=VALUE", flag, pair)
		}
		values.Add(name, value)
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

// answerTime is how long an endpoint of which nothing else is known may take to
// answer.
const answerTime = 5 * time.Second

// reachable is the probe of a transcript.
func reachable(ctx context.Context, e *suite.Endpoint) (map[suite.Level]string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
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
