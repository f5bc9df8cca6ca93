package suite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

var errGone = errors.New("the endpoint is gone")

// goneAfter is how long an endpoint may take no connections before it is taken
// for gone: a server that crashed may be started again by who watches it.
const goneAfter = 2 * time.Second

// gone says why nothing takes connections where the endpoint is, nil when
// something does, perhaps again.
func gone(ctx context.Context, u *url.URL) (err error) {
	ctx, cancel := context.WithTimeout(ctx, goneAfter)
	defer cancel()
	tick := time.NewTicker(goneAfter / 10)
	defer tick.Stop()
	for {
		if err = listens(ctx, u); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errGone, err)
		}
	}
}

// listens connects to the endpoint.
func listens(ctx context.Context, u *url.URL) error {
	port := u.Port()
	if port == "" {
		port = u.Scheme // its name stands for its port
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	return c.Close()
}

// interruption is why a context ended, for the reader of a report.
func interruption(ctx context.Context) string {
	switch why := context.Cause(ctx); {
	case errors.Is(why, errGone):
		return why.Error()
	case errors.Is(why, context.DeadlineExceeded):
		return "the time was up"
	}
	return "interrupted"
}

// unaskable says in one line why none of the cases can be asked, which is err
// unless more is known.
func unaskable(ctx context.Context, e *Endpoint, err error) error {
	at := e.URL.Redacted()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %s before the first case", at, interruption(ctx))
	}
	var silent *url.Error // says the address again, with the query
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer in time", at)
	case errors.As(err, &silent):
		return fmt.Errorf("%s: no answer: %s", at, line(silent.Err.Error()))
	}
	if e.AccessKey == "" {
		if why := turnedAway(ctx, e); why != "" {
			return fmt.Errorf("%s: %s", at, why)
		}
	}
	return fmt.Errorf("%s: %s", at, line(err.Error()))
}

// giveLogin says how who asks can tell who that is.
const giveLogin = `a token can be given as --query access_token=…, or a login as --header "NAME: VALUE"`

// turnedAway says how an endpoint answers negotiate where it wants to know first
// who asks, or is elsewhere; nothing of all other answers.
func turnedAway(ctx context.Context, e *Endpoint) string {
	u, err := url.Parse(hubURL(e))
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath("negotiate").String(), nil)
	if err != nil {
		return ""
	}
	client := e.calls().Client(http.DefaultTransport)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return ""
	}
	resp.Body.Close()
	to, err := resp.Location()
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return fmt.Sprintf("negotiate answers %s: %s", line(resp.Status), giveLogin)
	case resp.StatusCode/100 == 3 && err == nil:
		to.RawQuery, to.Fragment = "", ""
		return fmt.Sprintf("negotiate answers %s and leads to %s: if that is a login, %s", line(resp.Status), line(to.Redacted()), giveLogin)
	}
	return ""
}
