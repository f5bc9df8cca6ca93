// Package suite asks a SignalR server, service or client whether it is right.
//
// A [Case] is one question with an answer that is known from somewhere: a
// recording of the real thing, a specification, a public source. Where a script
// can say it, a case is a transcript (see [Transcripts]); code only where it cannot.
// [Run] asks the cases of a [Set] and returns a [Report].
package suite

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
)

// A Level is what a case needs of the endpoint besides the protocol. Levels are
// reported apart.
type Level string

// The levels.
const (
	Core    Level = "core"    // nothing of the app
	Hub     Level = "hub"     // the published test hub (docs/conformance.md)
	Service Level = "service" // a connection string: the suite plays the app server
	// ServiceLegacy is Service with app servers of ASP.NET.
	ServiceLegacy Level = "service-legacy"
	REST          Level = "rest"   // Service, and its REST API, which the suite calls
	Client        Level = "client" // the suite is the server, and judges a client
)

// A Case is one question. Cases of a run share nothing but the endpoint: any
// number may run at a time.
type Case struct {
	// Name is unique in its Set: words of lower case with dashes between.
	Name  string
	Level Level
	// About says in one line what is asked.
	About string
	// From says where the answer is from: recorded from which version of what, a
	// section of a specification, a public source.
	From string
	// Limit is how long the case may take; 0 means 10 s.
	Limit time.Duration
	// Run asks. It returns when everything has been asked, or calls a method of
	// T that does not return.
	Run func(ctx context.Context, t *T)
}

// An Endpoint is what is asked.
type Endpoint struct {
	// URL of the hub (Core), of the mount of the hubs (ASP.NET SignalR), or of
	// the service.
	URL *url.URL
	// Query is added to every negotiate and connect, for endpoints that want a
	// token or a user.
	Query url.Values
	// Header is sent with every request and upgrade that clients make to the scheme
	// and host of URL, for endpoints that want a login. A service to which the
	// endpoint sends its clients is another host and does not get it, nor does a
	// BackEnd elsewhere. A field that a case sets itself stays as it is, and a CORS
	// preflight has none of them, as those of browsers have not. Reports show requests
	// without it.
	Header http.Header
	// AccessKey signs tokens where the endpoint is a service.
	AccessKey string
	// BackEnd is where the app of the hub contract has its back end; empty means
	// the origin of URL.
	BackEnd string
}

// A Set is the cases for one kind of endpoint.
type Set struct {
	Name  string // core, legacy, service, client
	About string
	Cases []Case
	// Probe finds out, before the cases are asked, which levels the endpoint
	// lacks and why. An error means that there is nothing to ask. Nil finds
	// nothing lacking.
	Probe func(ctx context.Context, e *Endpoint) (lacks map[Level]string, err error)
}

// T is one run of a case. Its methods may be called by several goroutines of
// the case; Fail, Skip and Broken only by the one that runs it.
type T struct {
	Endpoint *Endpoint
	log      log
	allowed  []string

	once   sync.Once // for caller
	caller *conformance.Caller
}

// calls makes the requests of the case that no transcript makes.
func (t *T) calls() *conformance.Caller {
	t.once.Do(func() { t.caller = t.Endpoint.calls() })
	return t.caller
}

// do makes a request.
func (t *T) do(req *http.Request) (*http.Response, error) {
	return t.calls().Client(http.DefaultTransport).Do(req)
}

// calls makes the requests of one case.
func (e *Endpoint) calls() *conformance.Caller {
	return &conformance.Caller{At: e.URL, Header: e.Header}
}

// A Line is one thing that was said while a case ran.
type Line struct {
	Who  string // client, server, app: who said it; note for a remark of the case
	Conn string // which connection
	Said string
}

// Said notes what was said, for the reader of a failure.
func (t *T) Said(who, conn, format string, args ...any) {
	t.log.add(Line{who, conn, fmt.Sprintf(format, args...)})
}

// Fail ends the case: the endpoint said got where want is right.
func (t *T) Fail(want, got string) { panic(&verdict{outcome: Failed, want: want, got: got}) }

// Failf is Fail for a difference that needs one sentence.
func (t *T) Failf(format string, args ...any) {
	panic(&verdict{outcome: Failed, why: fmt.Sprintf(format, args...)})
}

// Skip ends the case: it cannot be asked here.
func (t *T) Skip(reason string) { panic(&verdict{outcome: Skipped, why: reason}) }

// Broken ends the case: something of our own failed, not the endpoint.
func (t *T) Broken(err error) { panic(&verdict{outcome: Broken, why: err.Error()}) }

// Allowed notes that the endpoint did not do what was expected, and why that is
// right all the same. Only the goroutine that runs the case may call it.
func (t *T) Allowed(why string) {
	if !slices.Contains(t.allowed, why) {
		t.allowed = append(t.allowed, why)
	}
}

// Equal fails unless got is want, which are shown as %v.
func Equal[V comparable](t *T, what string, want, got V) {
	if want != got {
		t.Fail(fmt.Sprintf("%s %v", what, want), fmt.Sprintf("%s %v", what, got))
	}
}

// Contains fails unless got has want in it.
func Contains(t *T, what, want, got string) {
	if !strings.Contains(got, want) {
		t.Fail(what+" with "+want, got)
	}
}
