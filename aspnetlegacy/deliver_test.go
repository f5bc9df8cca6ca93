package aspnetlegacy_test

import (
	"slices"
	"testing"

	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// TestDelivery sends by every server connection of an app, and of another, to
// clients of several hubs: who hears it is settled by the connection it comes
// on (2.6).
func TestDelivery(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1", "chat", "other")
	clients := map[string]*client{
		"both":  s.connect(a, webSockets, []string{"Chat", "OTHER"}, "asrs.s.uid", "ann"),
		"chat":  s.connect(a, serverSentEvents, []string{"chat"}, "asrs.s.uid", "ann"),
		"other": s.connect(a, longPolling, []string{"other"}, "asrs.s.uid", "Ann"),
		"none":  s.connect(a, foreverFrame, nil),
	}
	id := func(name string) string { return clients[name].id }
	second := s.app("server-2", "chat", "other") // any process may speak to any client
	foreign := &app{hubs: map[string]*link{"chat": s.link("server-1", "Store_chat", serviceproto.HandshakeRequest{})}}
	foreign.link = s.link("server-1", "Store_Store", serviceproto.HandshakeRequest{})
	for _, name := range []string{"chat", "none"} {
		if got := a.Ack(&serviceproto.JoinGroupWithAck{ConnectionID: id(name), Group: "hg-chat.red", AckID: 1}); got.Status != serviceproto.StatusOK {
			t.Fatalf("join: status %d", got.Status)
		}
	}
	p := payload(`"x"`)
	for _, tt := range []struct {
		name string
		by   *link
		m    serviceproto.Message
		who  []string
	}{
		{"hub", a.hubs["chat"], &serviceproto.BroadcastData{Payload: p}, []string{"both", "chat"}},
		{"other hub", a.hubs["other"], &serviceproto.BroadcastData{Payload: p}, []string{"both", "other"}},
		{"hub, by another process", second.hubs["chat"], &serviceproto.BroadcastData{Payload: p}, []string{"both", "chat"}},
		{"hub but one", a.hubs["chat"], &serviceproto.BroadcastData{Payload: p, Excluded: []string{id("chat"), "nobody"}}, []string{"both"}},
		{"application", a.link, &serviceproto.BroadcastData{Payload: p}, []string{"both", "chat", "other", "none"}},
		{"hub of that name elsewhere", foreign.hubs["chat"], &serviceproto.BroadcastData{Payload: p}, nil},

		{"user in a hub", a.hubs["chat"], &serviceproto.UserData{UserID: "ann", Payload: p}, []string{"both", "chat"}},
		{"user in another", a.hubs["other"], &serviceproto.UserData{UserID: "ann", Payload: p}, []string{"both"}},
		{"user by case", a.hubs["other"], &serviceproto.UserData{UserID: "Ann", Payload: p}, []string{"other"}},
		{"user of no name", a.hubs["chat"], &serviceproto.UserData{Payload: p}, nil},
		{"users in a hub", a.hubs["other"], &serviceproto.MultiUserData{UserIDs: []string{"ann", "Ann"}, Payload: p}, []string{"both", "other"}},
		{"user elsewhere", foreign.hubs["chat"], &serviceproto.UserData{UserID: "ann", Payload: p}, nil},

		{"group", a.link, &serviceproto.GroupBroadcastData{Group: "hg-chat.red", Payload: p}, []string{"chat", "none"}},
		{"group, by another process", second.link, &serviceproto.GroupBroadcastData{Group: "hg-chat.red", Payload: p}, []string{"chat", "none"}},
		{"group but one", a.link, &serviceproto.GroupBroadcastData{Group: "hg-chat.red", Excluded: []string{id("none")}, Payload: p}, []string{"chat"}},
		{"group by case", a.link, &serviceproto.GroupBroadcastData{Group: "hg-Chat.red", Payload: p}, nil},
		{"groups", a.link, &serviceproto.MultiGroupBroadcastData{Groups: []string{"hg-chat.red", "no"}, Payload: p}, []string{"chat", "none"}},
		{"group elsewhere", foreign.link, &serviceproto.GroupBroadcastData{Group: "hg-chat.red", Payload: p}, nil},

		{"one, by the application", a.link, &serviceproto.ConnectionData{ConnectionID: id("none"), Data: framed(`"x"`)}, []string{"none"}},
		{"one, by its hub", second.hubs["chat"], &serviceproto.ConnectionData{ConnectionID: id("chat"), Data: framed(`"x"`)}, []string{"chat"}},
		{"one, by a hub of others", a.hubs["other"], &serviceproto.ConnectionData{ConnectionID: id("chat"), Data: framed(`"x"`)}, nil},
		{"one, elsewhere", foreign.link, &serviceproto.ConnectionData{ConnectionID: id("chat"), Data: framed(`"x"`)}, nil},
		{"several", a.link, &serviceproto.MultiConnectionData{ConnectionIDs: []string{id("both"), id("none"), "nobody"}, Payload: p}, []string{"both", "none"}},

		{"end of one, by a hub of others", a.hubs["other"], &serviceproto.CloseConnection{ConnectionID: id("chat")}, nil},
		{"end of one, elsewhere", foreign.link, &serviceproto.CloseConnection{ConnectionID: id("chat")}, nil},

		// What holds no inner frame costs itself only (4.1).
		{"payload of another protocol", a.hubs["chat"], &serviceproto.BroadcastData{Payload: relay.Payload{{Protocol: "messagepack", Data: framed(`"x"`)}}}, nil},
		{"payload without inner frame", a.hubs["chat"], &serviceproto.BroadcastData{Payload: relay.Payload{{Protocol: "json", Data: []byte(`"x"`)}}}, nil},
		{"no inner frame", a.link, &serviceproto.ConnectionData{ConnectionID: id("none"), Data: []byte(`{"C":"0","M":["x"]}`)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.by.Send(tt.m)
			tt.by.Settle()
			for name, c := range clients {
				c.t = t
				a.says(c.id, `"end"`)
				if slices.Contains(tt.who, name) {
					c.hears(`"x"`)
				}
				c.hears(`"end"`)
			}
		})
	}
}

func TestGroupAcks(t *testing.T) {
	s, a, c := connected(t, aspnetlegacy.Options{}, webSockets, "chat")
	gone := s.connect(a, webSockets, []string{"chat"})
	gone.abort(webSockets)
	a.Left(gone.id)
	for _, tt := range []struct {
		name   string
		m      serviceproto.Message
		status int
	}{
		{"join", &serviceproto.JoinGroupWithAck{ConnectionID: c.id, Group: "g", AckID: 3}, serviceproto.StatusOK},
		{"join again", &serviceproto.JoinGroupWithAck{ConnectionID: c.id, Group: "g", AckID: 3}, serviceproto.StatusOK},
		{"leave", &serviceproto.LeaveGroupWithAck{ConnectionID: c.id, Group: "g", AckID: 3}, serviceproto.StatusOK},
		{"leave again", &serviceproto.LeaveGroupWithAck{ConnectionID: c.id, Group: "g", AckID: 3}, serviceproto.StatusOK},
		{"join of nobody", &serviceproto.JoinGroupWithAck{ConnectionID: "nobody", Group: "g", AckID: 3}, serviceproto.StatusNotFound},
		{"join of one that has gone", &serviceproto.JoinGroupWithAck{ConnectionID: gone.id, Group: "g", AckID: 3}, serviceproto.StatusNotFound},
		{"leave of one that has gone", &serviceproto.LeaveGroupWithAck{ConnectionID: gone.id, Group: "g", AckID: 3}, serviceproto.StatusNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := a.Ack(tt.m); got.AckID != 3 || got.Status != tt.status {
				t.Errorf("ack %d, status %d, want %d", got.AckID, got.Status, tt.status)
			}
		})
	}
}

// A client goes to a process that has all its hubs, if one does; its token may
// name one (2.6).
func TestWhichProcess(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	all := s.app("server-all", "chat", "other")
	some := s.app("server-some", "chat")
	for _, tt := range []struct {
		name   string
		hubs   []string
		claims []string
		want   *app
	}{
		{"the only one with both hubs", []string{"chat", "other"}, nil, all},
		{"although it has more clients", []string{"other"}, nil, all},
		{"the one with fewer", []string{"chat"}, nil, some},
		{"preferred", []string{"chat"}, []string{"asrs.s.sn", "server-all", "asrs.s.ssticky", "Preferred"}, all},
		{"preferred without all hubs", []string{"other"}, []string{"asrs.s.sn", "server-some", "asrs.s.ssticky", "Preferred"}, some},
		{"preferred and gone", []string{"other"}, []string{"asrs.s.sn", "server-x", "asrs.s.ssticky", "Preferred"}, all},
		{"required", nil, []string{"asrs.s.sn", "server-some", "asrs.s.ssticky", "Required"}, some},
		{"a hub that nobody has", []string{"third"}, nil, some}, // with three clients each
	} {
		c := s.connect(tt.want, webSockets, tt.hubs, tt.claims...) // fails if it is opened elsewhere
		tt.want.says(c.id, `1`)
		c.hears(`1`)
	}
	all.Settle()
	some.Settle()

	c := s.negotiate(nil, "asrs.s.sn", "server-x", "asrs.s.ssticky", "Required")
	if err := c.open("connect", webSockets); status(err) != 503 {
		t.Errorf("required and gone: %v", err)
	}
}

// A weak connection sends and takes no clients (2.2).
func TestWeakConnection(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	weak := s.link("server-0", application+"_chat", serviceproto.HandshakeRequest{ConnectionType: serviceproto.ConnectionWeak})
	s.link("server-0", application+"_"+application, serviceproto.HandshakeRequest{ConnectionType: serviceproto.ConnectionWeak})
	a := s.app("server-1", "chat")
	c := s.connect(a, webSockets, []string{"chat"})
	weak.broadcasts(`1`)
	c.hears(`1`)
}

// A process that says fin takes no more clients, and keeps those that it has
// (6.5).
func TestFin(t *testing.T) {
	s, a, c := connected(t, aspnetlegacy.Options{}, webSockets)
	a.Leave("fin:2")
	b := s.app("server-2")
	for range 2 {
		s.connect(b, webSockets, nil)
	}
	a.says(c.id, `1`)
	c.hears(`1`)
}
