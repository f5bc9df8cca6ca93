package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

type tokenCmd struct {
	Hub       string        `name:"hub" required:"" placeholder:"NAME" help:"Hub that the token is for."`
	User      string        `name:"user" placeholder:"ID" help:"User id of the client; none when empty."`
	Role      []string      `name:"role" placeholder:"ROLE" help:"Role of the user; may be repeated."`
	Claim     []string      `name:"claim" sep:"none" placeholder:"TYPE=VALUE" help:"Any other claim; may be repeated."`
	Server    bool          `name:"server" xor:"kind" help:"A token for an app server; --user is then the server id."`
	Lifetime  time.Duration `name:"lifetime" default:"1h" placeholder:"TIME" help:"Time until the token expires."`
	AccessKey []string      `name:"access-key" sep:"none" placeholder:"KEY" help:"Access key to sign with; the development key when empty."`
	Endpoint  string        `name:"endpoint" default:"http://127.0.0.1:8888" placeholder:"URL" help:"Where the relay is."`
	URL       bool          `name:"url" xor:"kind" help:"Print the URL to connect to, token included, instead of the token."`
}

// Run is called by kong.
func (c *tokenCmd) Run(p *Program) error {
	key := developmentKey
	if len(c.AccessKey) > 0 {
		key = c.AccessKey[0]
	}
	keys, err := auth.NewKeys(key)
	if err != nil {
		return usageError{err}
	}
	at, err := auth.ParseConnectionString("Endpoint=" + c.Endpoint + ";AccessKey=" + key)
	if err != nil {
		return usageError{fmt.Errorf("endpoint: %w", err)}
	}
	o := auth.Sign{Lifetime: c.Lifetime}
	if c.Server {
		return c.print(p)(keys.SignServer(at.ServerAudience(c.Hub), c.User, o))
	}
	claims, err := c.claims()
	if err != nil {
		return usageError{err}
	}
	token, err := keys.SignClient(at.ClientAudience(c.Hub), claims, o)
	if c.URL {
		token = at.ClientURL(c.Hub, "", "access_token="+url.QueryEscape(token))
	}
	return c.print(p)(token, err)
}

func (c *tokenCmd) claims() (claims []relay.Claim, err error) {
	if c.User != "" {
		claims = append(claims, relay.Claim{Type: auth.ClaimUser, Value: c.User})
	}
	for _, r := range c.Role {
		claims = append(claims, relay.Claim{Type: "role", Value: r})
	}
	for _, s := range c.Claim {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("claim: %q is not TYPE=VALUE", s)
		}
		claims = append(claims, relay.Claim{Type: name, Value: value})
	}
	return claims, nil
}

func (c *tokenCmd) print(p *Program) func(string, error) error {
	return func(text string, err error) error {
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(p.Stdout, text)
		return err
	}
}
