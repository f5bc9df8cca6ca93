package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	if err := findHub(ctx, e); err != nil {
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

// findHub says why an endpoint, or the place where that sends its clients, is no hub.
func findHub(ctx context.Context, e *Endpoint) error {
	at, err := url.Parse(hubURL(e))
	if err != nil {
		return err
	}
	t, place, where := &T{Endpoint: e}, &corePlace{at: at}, ""
	for range maxRedirects {
		n, err := place.negotiate(ctx, t)
		switch {
		case err != nil && (where == "" || ctx.Err() != nil):
			return err
		case err != nil:
			return fmt.Errorf("no hub%s: %s", where, withoutURL(err))
		case n.status != http.StatusOK:
			return fmt.Errorf("no hub%s: %v", where, n)
		case n.isLegacy() && !n.isCore():
			return fmt.Errorf("no hub of ASP.NET Core SignalR%s%s", where, butLegacy)
		case n.text("url") != "":
			to, err := url.Parse(n.text("url"))
			if err != nil || to.Host == "" {
				return fmt.Errorf("no hub%s: negotiate leads to %q, which is no URL", where, n.text("url"))
			}
			place = &corePlace{at: to, bearer: cmp.Or(n.text("accesstoken"), place.bearer)}
			where = " at " + withoutQuery(to) + ", where negotiate leads"
		case n.text("error") != "" && !n.isCore():
			return fmt.Errorf("no hub%s: negotiate answers with the error %q", where, n.text("error"))
		case !n.isCore() && !n.hasIDs():
			return fmt.Errorf("no hub%s: %v", where, n)
		default:
			return nil
		}
	}
	return fmt.Errorf("no hub%s: more than %d redirects", where, maxRedirects)
}

// isCoreHub says whether an endpoint answers as a hub of ASP.NET Core SignalR does.
func isCoreHub(ctx context.Context, e *Endpoint) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	at, err := url.Parse(hubURL(e))
	if err != nil {
		return false
	}
	n, err := (&corePlace{at: at}).negotiate(ctx, &T{Endpoint: e})
	return err == nil && n.isCore() && !n.isLegacy()
}

// withoutURL is what is wrong with a request, without its address.
func withoutURL(err error) string {
	var said *url.Error
	if errors.As(err, &said) {
		return said.Err.Error()
	}
	return err.Error()
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
