package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/signalrelay/signalrelay/relay/auth"
)

// developmentKey is the access key that Microsoft's emulator uses everywhere.
// It is public, so a relay with it may only be reached from its own machine
// (rest-and-serverless 5.1).
const developmentKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

// mask stands for a secret in everything that is printed.
const mask = "***"

// Config is everything that serve can be told. The tags are the one source of
// flags, file keys, environment names, help and docs/configuration.md: a field
// named drain-time is --drain-time, drain-time: in the file and
// SIGNALRELAY_DRAIN_TIME. A field with the tag secret is never printed.
type Config struct {
	Listen string `name:"listen" default:"127.0.0.1:8888" placeholder:"HOST:PORT" group:"Addresses" help:"Address for clients and app servers."`
	Admin  string `name:"admin" default:"127.0.0.1:8889" placeholder:"HOST:PORT" group:"Addresses" help:"Address for /livez, /readyz, /metrics and /debug; none turns it off."`

	TLSCert string `name:"tls-cert" placeholder:"FILE" group:"Addresses" help:"Certificate chain in PEM; clients then come by https."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" group:"Addresses" help:"Key of tls-cert in PEM."`

	AccessKey      []string `name:"access-key" sep:"none" placeholder:"KEY" group:"Access" secret:"" help:"Access key that apps sign with; repeat it, the first is primary. Without one the public development key is used, on loopback only."`
	AccessKeyFile  []string `name:"access-key-file" placeholder:"FILE" group:"Access" help:"File that holds one more access key and nothing else."`
	Hosts          []string `name:"hosts" placeholder:"HOST" group:"Access" help:"Host names that tokens may be made for; any when empty."`
	AllowedOrigins []string `name:"allowed-origins" default:"*" placeholder:"ORIGIN" group:"Access" help:"Web origins whose pages may connect; * is any."`

	TrustForwarded bool `name:"trust-forwarded" default:"false" group:"Access" help:"Believe X-Forwarded-For; only behind a proxy that sets it."`

	MaxConnections    int           `name:"max-connections" default:"0" placeholder:"N" group:"Limits" unit:"clients" help:"Most clients at a time; 0 is no limit."`
	MaxMessage        Size          `name:"max-message" default:"16MiB" placeholder:"SIZE" group:"Limits" unit:"bytes" help:"Largest message of a client. The app's hub has its own, smaller limit."`
	ClientBuffer      Size          `name:"client-buffer" default:"1MiB" placeholder:"SIZE" group:"Limits" unit:"bytes" help:"What may wait for one client before it is closed as too slow."`
	ServerBuffer      Size          `name:"server-buffer" default:"8MiB" placeholder:"SIZE" group:"Limits" unit:"bytes" help:"What may wait for one app server connection before its clients have to wait."`
	ClientsPerServer  int           `name:"clients-per-server" default:"0" placeholder:"N" group:"Limits" unit:"clients" help:"Clients of one server connection from when on its app is asked to open one more; 0 never asks."`
	HandshakeTimeout  time.Duration `name:"handshake-timeout" default:"15s" placeholder:"TIME" group:"Limits" unit:"duration" help:"Time for a client's hub handshake, unless the app says otherwise."`
	StatefulReconnect bool          `name:"stateful-reconnect" default:"true" negatable:"" group:"Limits" help:"Let clients resume a connection that broke."`

	ReplayBuffer      Size          `name:"replay-buffer" default:"1MiB" placeholder:"SIZE" group:"ASP.NET SignalR 2.x" unit:"bytes" help:"What is kept of a client's messages for its reconnect."`
	ReplayTime        time.Duration `name:"replay-time" default:"40s" placeholder:"TIME" group:"ASP.NET SignalR 2.x" unit:"duration" help:"For how long it is kept."`
	KeepAlive         time.Duration `name:"keep-alive" default:"10s" placeholder:"TIME" group:"ASP.NET SignalR 2.x" unit:"duration" help:"How often an idle client hears from the relay. It gives the connection up after twice as long."`
	DisconnectTimeout time.Duration `name:"disconnect-timeout" default:"30s" placeholder:"TIME" group:"ASP.NET SignalR 2.x" unit:"duration" help:"How long a client tries to reconnect."`
	JSONP             bool          `name:"jsonp" default:"false" group:"ASP.NET SignalR 2.x" help:"Serve clients that need JSONP, of any origin."`
	RedirectTo        string        `name:"redirect-to" placeholder:"URL" group:"ASP.NET SignalR 2.x" help:"Another relay with the same access keys, for new clients while this one drains or is full."`

	DrainTime  time.Duration `name:"drain-time" default:"10s" placeholder:"TIME" group:"Operation" unit:"duration" help:"Time over which clients are sent away after SIGTERM."`
	InstanceID string        `name:"instance-id" placeholder:"ID" group:"Operation" help:"Name of this relay towards apps; random when empty."`
	LogLevel   string        `name:"log-level" default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" group:"Operation" help:"Least level that is logged: debug, info, warn or error."`
	LogFormat  string        `name:"log-format" default:"auto" enum:"auto,text,json" placeholder:"FORMAT" group:"Operation" help:"Form of the log: text, json, or auto: text on a terminal, else json."`
	Pprof      bool          `name:"pprof" default:"false" group:"Operation" help:"Serve profiles under /debug/pprof/ of the admin address."`
}

// defaultConfig is what serve runs with when it is told nothing.
func defaultConfig() Config {
	var c Config
	k, err := kong.New(&c)
	if err == nil {
		_, err = k.Parse(nil)
	}
	if err != nil { // the tags are wrong, which every test would show
		panic(err)
	}
	return c
}

// validate finds what is wrong by itself or together. It opens no file.
func (c *Config) validate() error {
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf(key+": "+format, args...))
	}
	for _, a := range []struct{ key, value string }{{"listen", c.Listen}, {"admin", c.Admin}} {
		if a.key == "admin" && a.value == "none" {
			continue
		}
		if err := checkAddress(a.value); err != nil {
			wrong(a.key, "%v", err)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		wrong("tls-cert", "needs tls-key, and the reverse")
	}
	for i, k := range c.AccessKey {
		switch k {
		case "":
			wrong("access-key", "number %d is empty", i+1)
		case mask:
			wrong("access-key", "number %d is the mask that --print-config writes in place of a key", i+1)
		}
	}
	for _, s := range []struct {
		key  string
		size Size
	}{{"max-message", c.MaxMessage}, {"client-buffer", c.ClientBuffer}, {"server-buffer", c.ServerBuffer}, {"replay-buffer", c.ReplayBuffer}} {
		if s.size < 1<<10 || s.size > 1<<30 {
			wrong(s.key, "%v is not from 1KiB to 1GiB", s.size)
		}
	}
	if c.HandshakeTimeout < time.Second || c.HandshakeTimeout > 5*time.Minute {
		wrong("handshake-timeout", "%v is not from 1s to 5m", c.HandshakeTimeout)
	}
	for _, t := range []struct {
		key         string
		value       time.Duration
		least, most time.Duration
	}{
		{"replay-time", c.ReplayTime, time.Second, 10 * time.Minute},
		{"keep-alive", c.KeepAlive, 2 * time.Second, time.Minute},
		{"disconnect-timeout", c.DisconnectTimeout, 6 * time.Second, 10 * time.Minute},
	} {
		if t.value < t.least || t.value > t.most {
			wrong(t.key, "%v is not from %v to %v", t.value, t.least, t.most)
		}
	}
	if c.DrainTime < 0 || c.DrainTime > time.Hour {
		wrong("drain-time", "%v is not from 0s to 1h", c.DrainTime)
	}
	if c.MaxConnections < 0 {
		wrong("max-connections", "%d is below 0", c.MaxConnections)
	}
	if c.ClientsPerServer < 0 {
		wrong("clients-per-server", "%d is below 0", c.ClientsPerServer)
	}
	if u, err := url.Parse(c.RedirectTo); c.RedirectTo != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "") {
		wrong("redirect-to", "%q is not an address such as https://host", c.RedirectTo)
	}
	return errors.Join(errs...)
}

// keys returns the access keys, those of files last, or the development key
// when there are none. It refuses the development key on an address that other
// machines can reach.
func (c *Config) keys() ([]string, error) {
	keys := append([]string(nil), c.AccessKey...)
	for _, name := range c.AccessKeyFile {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("access-key-file: %w", err)
		}
		k := strings.TrimSpace(string(b))
		if k == "" {
			return nil, fmt.Errorf("access-key-file: %s is empty", name)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		keys = []string{developmentKey}
	}
	for _, k := range keys {
		if k == developmentKey && !loopback(c.Listen) {
			return nil, fmt.Errorf("listen: %s can be reached from other machines, but the access key is the public development key; "+
				"set your own with --access-key or access-key-file, or listen on 127.0.0.1", c.Listen)
		}
	}
	return keys, nil
}

// connectionString is what apps have to be configured with to reach a relay
// that listens on addr.
func (c *Config) connectionString(addr, key string) (auth.ConnectionString, error) {
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return auth.ConnectionString{}, err
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
		if len(c.Hosts) > 0 {
			host = c.Hosts[0]
		}
	}
	return auth.ParseConnectionString("Endpoint=" + scheme + "://" + net.JoinHostPort(host, port) + ";AccessKey=" + key + ";Version=1.0;")
}

func checkAddress(a string) error {
	_, port, err := net.SplitHostPort(a)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", a)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no port from 0 to 65535", a)
	}
	return nil
}

// loopback reports whether only this machine can reach a HOST:PORT. A name
// other than localhost may mean anything tomorrow, so it does not count.
func loopback(a string) bool {
	host, _, err := net.SplitHostPort(a)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Size is a number of bytes, written as a plain number or with KiB, MiB or GiB.
type Size int64

var sizeUnits = []struct {
	name string
	size Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// UnmarshalText reads a Size.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), Size(1)
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(strings.ToLower(number), strings.ToLower(u.name)); ok {
			number, unit = strings.TrimSpace(n), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/int64(unit) {
		return fmt.Errorf("%q is no size such as 64KiB or 1MiB", text)
	}
	*s = Size(n) * unit
	return nil
}

// MarshalText writes a Size in the largest unit that fits it exactly.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String is MarshalText as a string.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s >= u.size && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
