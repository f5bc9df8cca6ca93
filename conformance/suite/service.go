package suite

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/transcripts"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// serviceFolders are the folders of transcripts that are cases for a service,
// with what may differ in them.
var serviceFolders = []struct {
	name  string
	rules func(*conformance.Transcript) []*conformance.Rule
}{
	{"aspnetcore", recordedRules},
	{"coreclient", clientRules},
	{"service", writtenRules},
	{"aspnet", legacyRules},
	{"rest", restRules},
}

// notCases is the list beside the transcripts of a folder that says what is none.
const notCases = "not-replayed.txt"

// ServiceSet is the cases for a service that stands between app servers and
// clients as Azure SignalR Service does. The suite plays both of them; of the
// endpoint it needs the address and the access key. Each run of a case has hubs
// of its own, so cases do not disturb each other, nor an app that is in use.
func ServiceSet() *Set {
	s := &Set{
		Name: "service", About: "a service between app servers and clients, as Azure SignalR Service",
		Cases: slices.Clone(groupCases), Probe: probeService,
	}
	for _, f := range serviceFolders {
		files, err := fs.Glob(transcripts.Files, path.Join(f.name, "*.txt"))
		if err != nil {
			panic(err) // the pattern is ours
		}
		for _, file := range files {
			if path.Base(file) == notCases {
				continue
			}
			c, err := serviceCase(file, f.rules)
			if err != nil {
				panic(fmt.Sprintf("%s: %v", file, err)) // the tests load all that is embedded
			}
			s.Cases = append(s.Cases, c)
		}
	}
	return s
}

// ServiceScript makes a case for a service of a transcript in which app servers
// speak. Like the cases of [ServiceSet] it has hubs of its own in each run, and
// everything that may differ in one of those may differ in it.
func ServiceScript(text []byte) (Case, error) {
	return serviceScript(text, func(tr *conformance.Transcript) (all []*conformance.Rule) {
		for _, f := range serviceFolders {
			all = append(all, f.rules(tr)...)
		}
		return all
	})
}

// serviceCase makes a case of an embedded transcript.
func serviceCase(file string, rules func(*conformance.Transcript) []*conformance.Rule) (Case, error) {
	text, err := fs.ReadFile(transcripts.Files, file)
	if err != nil {
		return Case{}, err
	}
	return serviceScript(text, rules)
}

func serviceScript(text []byte, rules func(*conformance.Transcript) []*conformance.Rule) (Case, error) {
	tr, err := conformance.Load(text)
	if err != nil {
		return Case{}, err
	}
	return Case{Name: tr.Name, Level: serviceLevel(tr), About: tr.About, From: provenance(tr), Run: func(ctx context.Context, t *T) {
		tr, err := conformance.Load(relocate(text, t.Endpoint, strings.ToLower(rand.Text()[:8])))
		if err != nil {
			t.Broken(err)
		}
		play(ctx, t, tr, append(rules(tr), lenientRules(tr)...), isKeepAlive)
	}}, nil
}

// serviceLevel is what a transcript needs of a service.
func serviceLevel(tr *conformance.Transcript) Level {
	asks := func(path string) bool {
		return slices.ContainsFunc(tr.Steps, func(s conformance.Step) bool {
			r, ok := s.Said.(conformance.Request)
			return ok && strings.HasPrefix(r.Target, path)
		})
	}
	switch {
	case asks("/aspnetserver/"):
		return ServiceLegacy
	case asks("/api/hubs/"), asks("/api/v1/hubs/"):
		return REST
	}
	return Service
}

// recordedHub finds the hubs of a transcript: the hub of a request or of an
// audience, which may have the application app before it (rest-and-serverless 0),
// and the name of the ASP.NET application wherever it stands.
var recordedHub = regexp.MustCompile(`(?:hub=(?:app_)?|/hubs/)[A-Za-z]+|(?i:legacyapp)`)

// bracketed finds the value of a claim or header of a message that is a word but
// for the brackets of an IPv6 address, which are those of a list.
var bracketed = regexp.MustCompile("(?m)^(  (?:claim|header) [^ \n]+ )([^ `\"\n]*\\[[^ \n]*)$")

// relocate puts a transcript where the endpoint is, on hubs of its own.
func relocate(text []byte, e *Endpoint, own string) []byte {
	text = recordedHub.ReplaceAllFunc(text, func(hub []byte) []byte {
		return append(bytes.Clone(hub), own...)
	})
	origin := e.URL.Scheme + "://" + e.URL.Host
	name := strings.TrimSuffix(e.URL.Host, ":"+e.URL.Port()) // Hostname takes the brackets of IPv6 away
	there := strings.NewReplacer(
		"http://127.0.0.1:8888/api/", origin+"/api/", // of audiences of REST, which are the address of the request
		"127.0.0.1:8888", e.URL.Host, "127.0.0.1:5080", e.URL.Host, // the services of the recordings
		"http://127.0.0.1/", e.URL.Scheme+"://"+name+"/", // of other audiences, which have no port
	).Replace(string(text))
	return bracketed.ReplaceAll([]byte(there), []byte("$1`$2`"))
}

// probeService opens server connections: with that, the address and the access
// key are right, and it is known which flavours the service has. It then asks
// whether there is a REST API.
func probeService(ctx context.Context, e *Endpoint) (map[Level]string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	at, err := auth.ParseConnectionString("Endpoint=" + e.URL.String() + ";AccessKey=" + e.AccessKey)
	if err != nil {
		return nil, err
	}
	hub := "probe" + strings.ToLower(rand.Text()[:8])
	core := attach(ctx, e.AccessKey, at.ServerURL(hub, hub), at.ServerAudience(hub))
	app := hub + "_" + hub
	legacy := attach(ctx, e.AccessKey, at.AspNetServerURL(app, hub), at.AspNetServerAudience(app))
	if core != nil && legacy != nil {
		return nil, core
	}
	// What else may be wrong with one of them is for its cases to say.
	lacks := map[Level]string{}
	if errors.Is(core, errNoServers) {
		lacks[Service] = "it takes no app servers of ASP.NET Core: " + core.Error()
		lacks[REST] = lacks[Service] // clients that messages are sent to are theirs
		return lacks, nil
	}
	if errors.Is(legacy, errNoServers) {
		lacks[ServiceLegacy] = "it takes no app servers of ASP.NET: " + legacy.Error()
	}
	if why := lacksREST(ctx, e, hub); why != "" {
		lacks[REST] = why
	}
	return lacks, nil
}

// errNoServers is the answer of a service that has not the flavour.
var errNoServers = errors.New("it answers 404 to a server connection")

// attach opens a server connection and closes it.
func attach(ctx context.Context, accessKey, url, audience string) error {
	keys, err := auth.NewKeys(accessKey)
	if err != nil {
		return err
	}
	token, err := keys.SignServer(audience, "conform", auth.Sign{Lifetime: time.Hour})
	if err != nil {
		return err
	}
	c, err := ws.Dial(ctx, url, http.Header{"Authorization": {"Bearer " + token}, "X-Asrs-Server-Id": {"conform"}})
	var refused *ws.StatusError
	switch {
	case errors.As(err, &refused) && refused.Code == http.StatusUnauthorized:
		return errors.New("the access key is not the service's: it answers 401 to a server connection")
	case errors.As(err, &refused) && refused.Code == http.StatusNotFound:
		return errNoServers
	case errors.As(err, &refused):
		return fmt.Errorf("it answers %d to a server connection", refused.Code)
	case err != nil:
		return err
	}
	defer c.NetConn().Close()
	if d, ok := ctx.Deadline(); ok {
		c.NetConn().SetDeadline(d)
	}
	if err := c.Write(ws.Binary, serviceproto.Append(nil, &serviceproto.HandshakeRequest{Version: 1})); err != nil {
		return err
	}
	if _, _, err := c.Read(); err != nil {
		return fmt.Errorf("no answer to the handshake of a server connection: %w", err)
	}
	return nil
}
