package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// A corePlace is a connection of a hub that was negotiated: what the answer says,
// and where it is.
type corePlace struct {
	ConnectionID, ConnectionToken string
	AvailableTransports           json.RawMessage
	UseStatefulReconnect          bool
	URL, AccessToken              string

	at     *url.URL
	bearer string
}

// maxRedirects is how many negotiates a client makes (core-client-protocol 2.3).
const maxRedirects = 100

// negotiateCore negotiates with a query besides the endpoint's, and goes where the
// answers send it (core-client-protocol 2.3).
func negotiateCore(ctx context.Context, t *T, query ...string) *corePlace {
	at, err := url.Parse(hubURL(t.Endpoint))
	if err != nil {
		t.Broken(err)
	}
	at.RawQuery = strings.Trim(at.RawQuery+"&"+strings.Join(query, "&"), "&")
	bearer := ""
	for range maxRedirects {
		place := &corePlace{at: at, bearer: bearer}
		n, err := place.negotiate(ctx, t)
		if err != nil {
			t.Failf("no answer to negotiate: %v", err)
		}
		if n.status != http.StatusOK || json.Unmarshal(n.body, place) != nil {
			t.Fail("an answer to negotiate", fmt.Sprintf("%d %s", n.status, n.body))
		}
		if place.URL == "" {
			return place
		}
		if at, err = url.Parse(place.URL); err != nil {
			t.Fail("an absolute url", place.URL)
		}
		if place.AccessToken != "" {
			bearer = place.AccessToken
		}
	}
	t.Failf("more than %d redirects", maxRedirects)
	return nil
}

// negotiate negotiates at a place and follows nothing.
func (p *corePlace) negotiate(ctx context.Context, t *T) (*negotiated, error) {
	u := p.at.JoinPath("negotiate")
	if !strings.Contains(u.RawQuery, "negotiateVersion=") {
		u.RawQuery = strings.Trim(u.RawQuery+"&negotiateVersion=1", "&")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = p.header()
	t.Said("client", "h1", "%s %s", req.Method, req.URL.RequestURI())
	resp, err := t.do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	n, err := readNegotiated(resp)
	if err == nil {
		t.Said("server", "h1", "%d %s", n.status, n.body)
	}
	return n, err
}

// offering skips the case unless the endpoint offers a transport.
func (p *corePlace) offering(t *T, transport string) *corePlace {
	if !slices.ContainsFunc(p.offered(), func(o map[string]any) bool { return o["transport"] == transport }) {
		t.Skip((&conformance.UnavailableError{Transport: transport}).Error())
	}
	return p
}

// offered are the transports in the answer, none if that has no list of them.
func (p *corePlace) offered() (all []map[string]any) {
	if json.Unmarshal(p.AvailableTransports, &all) != nil {
		return nil
	}
	return all
}

func (p *corePlace) header() http.Header {
	h := http.Header{}
	if p.bearer != "" {
		h.Set("Authorization", "Bearer "+p.bearer)
	}
	return h
}

// url is where the connection is opened.
func (p *corePlace) url() string {
	u := *p.at
	parts := slices.DeleteFunc([]string{u.RawQuery, "id=" + url.QueryEscape(p.ConnectionToken)}, func(s string) bool { return s == "" })
	u.RawQuery = strings.Join(parts, "&")
	return u.String()
}

func (p *corePlace) do(ctx context.Context, t *T, method string, h http.Header, body io.Reader) *http.Response {
	return p.doAt(ctx, t, method, p.url(), h, body)
}

func (p *corePlace) doAt(ctx context.Context, t *T, method, address string, h http.Header, body io.Reader) *http.Response {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		t.Broken(err)
	}
	req.Header = h
	t.Said("client", "h1", "%s %s", method, req.URL.RequestURI())
	resp, err := t.do(req)
	if err != nil {
		t.Failf("no answer to %s: %v", method, err)
	}
	return resp
}

// dial opens the connection as a WebSocket.
func (p *corePlace) dial(ctx context.Context, t *T) (*ws.Conn, error) {
	return t.calls().Dial(ctx, p.url(), p.header())
}

// events opens the event stream of the connection.
func (p *corePlace) events(ctx context.Context, t *T) *http.Response {
	h := p.header()
	h.Set("Accept", "text/event-stream")
	h.Set("Accept-Encoding", "identity")
	resp := p.do(ctx, t, http.MethodGet, h, nil)
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		t.Fail("200 for the event stream", resp.Status)
	}
	return resp
}

func (p *corePlace) send(ctx context.Context, t *T, text string) {
	resp := p.do(ctx, t, http.MethodPost, p.header(), strings.NewReader(text))
	resp.Body.Close()
	Equal(t, "status of a send", http.StatusOK, resp.StatusCode)
}

func (p *corePlace) poll(ctx context.Context, t *T) []byte {
	status, body := p.pollAny(ctx, t)
	Equal(t, "status of a poll", http.StatusOK, status)
	return body
}

// pollAny polls, whatever the answer.
func (p *corePlace) pollAny(ctx context.Context, t *T) (status int, body []byte) {
	resp := p.do(ctx, t, http.MethodGet, p.header(), nil)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Failf("read a poll: %v", err)
	}
	return resp.StatusCode, body
}
