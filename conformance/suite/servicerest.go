package suite

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// errorCode is the header that says of a 404 what was not found
// (rest-and-serverless 1.7).
const errorCode = "x-ms-error-code"

// lacksREST says in plain words that a service has no REST API, and nothing where
// it has one. It is asked for a broadcast: that is answered 202 though nobody is
// on the hub (rest-and-serverless 1.2), so a 404 that does not say what is missing
// means that there is no such path.
func lacksREST(ctx context.Context, e *Endpoint, hub string) string {
	keys, err := auth.NewKeys(e.AccessKey)
	if err != nil {
		return err.Error()
	}
	u := e.URL.JoinPath("api", "hubs", hub, ":send")
	token, err := keys.SignServer(u.String(), "conform", auth.Sign{Lifetime: time.Hour})
	if err != nil {
		return err.Error()
	}
	u.RawQuery = "api-version=2022-06-01"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(`{"target":"probe","arguments":[]}`))
	if err != nil {
		return err.Error()
	}
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
	const asked = "POST /api/hubs/{hub}/:send"
	resp, err := http.DefaultTransport.RoundTrip(req) // a redirect is none of its answers
	if err != nil {
		return "it has no REST API: no answer to " + asked + ": " + err.Error()
	}
	resp.Body.Close()
	none := []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}
	if slices.Contains(none, resp.StatusCode) && resp.Header.Get(errorCode) == "" {
		return fmt.Sprintf("it has no REST API: it answers %d to %s", resp.StatusCode, asked)
	}
	return ""
}

// statusesAsked begins the names of the cases that want the very statuses of the
// documentation.
const statusesAsked = "exact-rest-statuses"

// restRules are for conversations with the REST API of a service. They look only
// at answers to it, and at messages in conversations that have such answers.
func restRules(tr *conformance.Transcript) []*conformance.Rule {
	return append(writtenRules(tr), &conformance.Rule{
		Why: "any status of success will do but for a question: the SDK takes them alike (rest-and-serverless 1.2); " + statusesAsked + " asks which it is",
		MayDiffer: restAnswer(tr, func(scenario string, asked conformance.Request, want, got conformance.Response) bool {
			return !strings.HasPrefix(scenario, statusesAsked) && !isQuestion(asked.Method) &&
				want.Status != got.Status && want.Status/100 == 2 && got.Status/100 == 2 && hasFields(got.Header, want.Header)
		}),
	}, &conformance.Rule{
		Why: "whoever is not there may be closed all the same (rest-and-serverless 1.7)",
		MayDiffer: restAnswer(tr, func(_ string, asked conformance.Request, want, got conformance.Response) bool {
			return asked.Method == http.MethodDelete && want.Status == http.StatusNotFound && got.Status/100 == 2
		}),
	}, &conformance.Rule{
		Why: "the SDK compares the code of an error without case (rest-and-serverless 1.7)",
		MayDiffer: restAnswer(tr, func(_ string, _ conformance.Request, want, got conformance.Response) bool {
			code := field(want.Header, errorCode)
			return code != "" && want.Status == got.Status && strings.EqualFold(code, field(got.Header, errorCode)) && hasFields(got.Header, want.Header, errorCode)
		}),
	}, &conformance.Rule{
		Why: "a message of messagepack may end with the arguments, without ids of streams (core-client-protocol 5.3)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := want.Said.(conformance.Data)
			g, ok2 := got.(conformance.Data)
			return serviceLevel(tr) == REST && ok1 && ok2 && w.Kind == conformance.Binary && g.Kind == conformance.Binary && sameCall(w.Bytes, g.Bytes)
		},
	})
}

// mayHaveBody is for every transcript that asks a REST API, or for health.
func mayHaveBody(tr *conformance.Transcript) *conformance.Rule {
	return &conformance.Rule{
		Why: "an answer of success may have a body, which no SDK reads (rest-and-serverless 1.6)",
		MayDiffer: restAnswer(tr, func(_ string, _ conformance.Request, want, got conformance.Response) bool {
			return want.Status == got.Status && want.Status/100 == 2 && len(want.Body) == 0 && hasFields(got.Header, want.Header)
		}),
	}
}

// restAnswer makes a rule's function of one for answers to the REST API.
func restAnswer(tr *conformance.Transcript, may func(scenario string, asked conformance.Request, want, got conformance.Response) bool) func(string, conformance.Step, conformance.Saying) bool {
	return func(scenario string, want conformance.Step, got conformance.Saying) bool {
		w, ok1 := want.Said.(conformance.Response)
		g, ok2 := got.(conformance.Response)
		if !ok1 || !ok2 {
			return false
		}
		for _, s := range tr.Steps {
			if r, ok := s.Said.(conformance.Request); ok && s.Conn == want.Conn && strings.HasPrefix(r.Target, "/api/") {
				return may(scenario, r, w, g)
			}
		}
		return false
	}
}

// isQuestion says whether a method asks what is there. The SDK takes 200 alone for
// a yes (rest-and-serverless 1.7).
func isQuestion(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// sameCall says whether two frames of messagepack are the same invocation.
func sameCall(a, b []byte) bool {
	call := func(frame []byte) (m hubproto.Message, ok bool) {
		body, size, _, err := hubproto.MessagePack.Next(frame)
		return m, err == nil && size == len(frame) && hubproto.MessagePack.Parse(body, &m) == nil && m.Type == hubproto.Invocation && m.Unbound == nil
	}
	x, ok1 := call(a)
	y, ok2 := call(b)
	return ok1 && ok2 && x.Target == y.Target && x.ID == y.ID && slices.Equal(x.Headers, y.Headers) && slices.Equal(x.StreamIDs, y.StreamIDs) &&
		cmp.Equal(values(x.Arguments), values(y.Arguments))
}

// values are arguments in messagepack.
func values(all []hubproto.Raw) (vs []any) {
	for _, raw := range all {
		var v any
		if hubproto.MessagePack.Bind(raw, &v) != nil {
			v = []byte(raw) // compared as it is
		}
		vs = append(vs, whole(v))
	}
	return vs
}

// whole makes the whole numbers in a value int64, since one has several encodings.
func whole(v any) any {
	switch v := v.(type) {
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = whole(v[name])
		}
	}
	return v
}
