package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
)

// doors are the transports that endpoints offer and that do not open, as the probe
// found them: the cases that open them fail, and those that would come in by them
// are skipped. Any number of runs may use them at a time.
type doors struct {
	mu   sync.Mutex
	shut map[*Endpoint]map[string]bool
}

// probeTime bounds each thing that is asked before the cases.
const probeTime = 5 * time.Second

// probe finds out whether there is a hub at all, which of its transports open, and
// whether it is the test hub. A hub that answers wrongly is there: that is for the
// cases to say.
func (d *doors) probe(ctx context.Context, e *Endpoint) (map[Level]string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+len(transports))*probeTime)
	defer cancel()
	if err := negotiates(ctx, e); err != nil {
		return nil, err
	}
	var lacks map[Level]string
	shut, opened := map[string]bool{}, false
	for _, tr := range transports {
		script, err := conformance.Load([]byte(strings.ReplaceAll(askEcho, eachTransport, tr.name)))
		if err != nil {
			return nil, err
		}
		o := hubOptions(e, Hub, script)
		o.Patience = probeTime
		err = conformance.Replay(ctx, script, o)
		var lack *conformance.UnavailableError
		var differs *conformance.Difference
		switch isDifference := errors.As(err, &differs); {
		case errors.As(err, &lack):
		case isDifference && differs.Line == script.Steps[0].Line:
			shut[tr.name] = true
		default:
			if !opened && isDifference && (differs.Got == "" || strings.Contains(differs.Got, `"error"`)) {
				lacks = map[Level]string{Hub: "the test hub is not there: its method " + echo + " does not answer"}
			}
			opened = true
		}
	}
	if !opened && len(shut) == 0 {
		return nil, errors.New("no transport is offered")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut == nil {
		d.shut = map[*Endpoint]map[string]bool{}
	}
	d.shut[e] = shut
	return lacks, nil
}

// echo is the method of the test hub by which the probe finds it.
const echo = "Echo"

const askEcho = "# name: probe\n" +
	"client c1> connect ${transport}\n" +
	"client c1> text `{\"protocol\":\"json\",\"version\":1}␞`\n" +
	"server c1> text `{}␞`\n" +
	"client c1> text `{\"type\":1,\"invocationId\":\"1\",\"target\":\"" + echo + "\",\"arguments\":[\"there?\"]}␞`\n" +
	"server c1> text `{\"type\":3,\"invocationId\":\"1\",\"result\":\"there?\"}␞`\n"

// negotiates says why an endpoint is no hub.
func negotiates(ctx context.Context, e *Endpoint) error {
	u, err := url.Parse(hubURL(e))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath("negotiate").String(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("negotiate: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("negotiate: %w", err)
	}
	if resp.StatusCode != http.StatusOK || !json.Valid(body) {
		return fmt.Errorf("no hub: negotiate answers %s", resp.Status)
	}
	return nil
}

// opensDoors says whether a case is about a transport that opens.
func opensDoors(name string) bool {
	for _, tr := range transports {
		if name == "handshake-"+tr.short {
			return true
		}
	}
	return name == "poll-first"
}

// before is run, skipped where one of the transports does not open.
func (d *doors) before(run func(context.Context, *T), transports ...string) func(context.Context, *T) {
	return func(ctx context.Context, t *T) {
		d.mu.Lock()
		shut := d.shut[t.Endpoint]
		d.mu.Unlock()
		for _, name := range transports {
			if shut[name] {
				t.Skip(name + " does not open: see the handshake case for it")
			}
		}
		run(ctx, t)
	}
}
