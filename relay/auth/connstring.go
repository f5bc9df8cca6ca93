package auth

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// ConnectionString is how an app is told where its service is (service-protocol
// 1.1). Formatted or logged it masks the key; Secret is the text with it. Hold
// it by pointer in a field that is not exported, where fmt cannot see its
// methods.
type ConnectionString struct {
	Endpoint       *url.URL // where the service is, Port applied; always set by ParseConnectionString
	ClientEndpoint *url.URL // given to clients instead of Endpoint; may be nil
	ServerEndpoint *url.URL // for server connections instead of Endpoint; may be nil
	AccessKey      string   `json:"-"` // the signing secret; empty only with AuthType
	AuthType       string   // an Azure identity in place of a key, in lower case (service-protocol 1.10)
	Version        string   // as written, may be empty
}

var version = regexp.MustCompile(`^1\.\d+(?:[-.].*)?$`)

// ParseConnectionString reads key=value pairs separated by semicolons. Errors
// name the key that is wrong and never repeat a value, since a slip of the
// separator puts the access key into any of them.
func ParseConnectionString(s string) (ConnectionString, error) {
	pairs, err := parsePairs(s)
	if err != nil {
		return ConnectionString{}, fmt.Errorf("connection string: %w", err)
	}
	c, err := fromPairs(pairs)
	if err != nil {
		return ConnectionString{}, fmt.Errorf("connection string: %w", err)
	}
	return c, nil
}

// parsePairs splits at every ; and at the first = of each segment. What has no
// = is passed over.
func parsePairs(s string) (map[string]string, error) {
	pairs, segments := map[string]string{}, 0
	for segment := range strings.SplitSeq(s, ";") {
		key, value, ok := strings.Cut(segment, "=")
		if !ok {
			continue
		}
		segments++
		key = strings.ToLower(strings.TrimSpace(key))
		if _, twice := pairs[key]; twice {
			if !known[key] {
				key = "a key"
			}
			return nil, fmt.Errorf("%s is given twice", key)
		}
		pairs[key] = strings.TrimSpace(value)
	}
	if segments < 2 {
		return nil, errors.New("needs Endpoint=…;AccessKey=…")
	}
	return pairs, nil
}

// known are the keys that an error may name.
var known = map[string]bool{
	"endpoint": true, "accesskey": true, "authtype": true, "clientid": true, "tenantid": true, "clientsecret": true,
	"clientcert": true, "version": true, "port": true, "clientendpoint": true, "serverendpoint": true,
}

func fromPairs(pairs map[string]string) (c ConnectionString, err error) {
	for _, e := range []struct {
		key string
		to  **url.URL
	}{{"endpoint", &c.Endpoint}, {"clientendpoint", &c.ClientEndpoint}, {"serverendpoint", &c.ServerEndpoint}} {
		if value, ok := pairs[e.key]; ok {
			if *e.to, ok = parseEndpoint(value); !ok {
				return c, fmt.Errorf("%s is no http:// or https:// address", e.key)
			}
		}
	}
	if c.Endpoint == nil {
		return c, errors.New("endpoint is missing")
	}
	switch t := strings.ToLower(pairs["authtype"]); t {
	case "aad", "azure", "azure.app", "azure.msi":
		c.AuthType = t
	}
	if c.AccessKey = pairs["accesskey"]; c.AccessKey == "" && c.AuthType == "" {
		return c, errors.New("accesskey is missing")
	}
	if v, ok := pairs["version"]; ok {
		if !version.MatchString(v) {
			return c, errors.New("version is not 1.x")
		}
		c.Version = v
	}
	if p, ok := pairs["port"]; ok {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return c, errors.New("port is not from 1 to 65535")
		}
		host := strings.Trim(c.Endpoint.Hostname(), "[]")
		c.Endpoint.Host = net.JoinHostPort(host, strconv.FormatUint(n, 10))
	}
	return c, nil
}

// parseEndpoint reads an absolute http or https address without its final slash.
func parseEndpoint(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, false
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, false
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, true
}

// HubName is the name that a hub has in URLs and audiences: in lower case and,
// for an application that shares a service, with the application's name before
// it (service-protocol 1.2).
func HubName(application, hub string) string {
	if application != "" {
		hub = application + "_" + hub
	}
	return strings.ToLower(hub)
}

// ServerURL is where an app server connects for hub, with the http or https
// scheme of its endpoint; cid, the id of the attempt, is left out when empty.
func (c ConnectionString) ServerURL(hub, cid string) string {
	u := base(c.ServerEndpoint, c.Endpoint) + "/server/?hub=" + escapeHub(hub)
	if cid != "" {
		u += "&cid=" + url.QueryEscape(cid)
	}
	return u
}

// ClientURL is where a client of hub is sent. Path is the path of its hub in the
// app and query what the client asked the app with, already encoded; either may
// be empty (service-protocol 2.3).
func (c ConnectionString) ClientURL(hub, path, query string) string {
	u := base(c.ClientEndpoint, c.Endpoint) + "/client/?hub=" + escapeHub(hub)
	if path != "" {
		u += "&asrs.op=" + url.QueryEscape(path)
	}
	if query != "" {
		u += "&" + query
	}
	return u
}

// ServerAudience is the audience of server tokens. Like ClientAudience it is
// made of Endpoint alone and never has a port (service-protocol 1.3).
func (c ConnectionString) ServerAudience(hub string) string { return c.audience("server", hub) }

// ClientAudience is the audience of client tokens.
func (c ConnectionString) ClientAudience(hub string) string { return c.audience("client", hub) }

// AspNetServerURL is where an app server of an ASP.NET application connects for
// hub, a name from HubName, with the http or https scheme of its endpoint. In it
// a + stands for itself (legacy-service-protocol 2.1). An empty cid is left out.
func (c ConnectionString) AspNetServerURL(hub, cid string) string {
	u := base(c.ServerEndpoint, c.Endpoint) + "/aspnetserver/?hub=" + url.PathEscape(strings.ToLower(hub))
	if cid != "" {
		u += "&cid=" + url.QueryEscape(cid)
	}
	return u
}

// AspNetClientURL is where a client of an ASP.NET application is sent. Query is
// what it asked the app with, already encoded, and path the path of that app;
// either may be empty, and both are for clients older than protocol 2.1
// (legacy-service-protocol 1.2). A ClientEndpoint with a path need not end in a
// slash here, unlike with the SDK, which would glue its own path to it.
func (c ConnectionString) AspNetClientURL(path, query string) string {
	u := base(c.ClientEndpoint, c.Endpoint) + "/aspnetclient"
	if path != "" {
		if query != "" {
			query += "&"
		}
		query += "asrs.op=" + url.QueryEscape(path)
	}
	if query != "" {
		u += "?" + query
	}
	return u
}

// AspNetServerAudience is the audience of an ASP.NET application's server
// tokens, in which nothing of hub is encoded, not even a blank
// (legacy-service-protocol 2.1).
func (c ConnectionString) AspNetServerAudience(hub string) string {
	return c.origin() + "/aspnetserver/?hub=" + strings.ToLower(hub)
}

// AspNetClientAudience is the audience of the tokens of an ASP.NET application's
// clients, whatever their hubs.
func (c ConnectionString) AspNetClientAudience() string { return c.origin() + "/aspnetclient" }

func (c ConnectionString) audience(kind, hub string) string {
	return c.origin() + "/" + kind + "/?hub=" + escapeHub(hub)
}

// origin is the part of an audience before its path.
func (c ConnectionString) origin() string {
	return c.Endpoint.Scheme + "://" + withoutPort(c.Endpoint.Host)
}

func base(special, general *url.URL) string {
	if special != nil {
		return special.String()
	}
	return general.String()
}

func escapeHub(hub string) string { return url.QueryEscape(strings.ToLower(hub)) }

// Secret is the whole text, access key included, in the form that apps are
// configured with.
func (c ConnectionString) Secret() string { return c.text(c.AccessKey) }

// String is Secret with the access key masked.
func (c ConnectionString) String() string { return c.text("***") }

// Format writes String for every verb, so that no verb reaches the key.
func (c ConnectionString) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// LogValue logs String.
func (c ConnectionString) LogValue() slog.Value { return slog.StringValue(c.String()) }

func (c ConnectionString) text(key string) string {
	var b strings.Builder
	add := func(name, value string) { b.WriteString(name + "=" + value + ";") }
	for _, e := range []struct {
		name string
		u    *url.URL
	}{{"Endpoint", c.Endpoint}, {"ClientEndpoint", c.ClientEndpoint}, {"ServerEndpoint", c.ServerEndpoint}} {
		if e.u != nil {
			add(e.name, e.u.String())
		}
	}
	if c.AuthType != "" {
		add("AuthType", c.AuthType)
	}
	if c.AccessKey != "" {
		add("AccessKey", key)
	}
	if c.Version == "" {
		c.Version = "1.0"
	}
	add("Version", c.Version)
	return b.String()
}
