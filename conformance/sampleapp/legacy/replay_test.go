package legacy_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/legacy"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/stubservice"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// patience is how long a test waits for what must come. It only passes when
// something is wrong.
const patience = 10 * time.Second

// heard is a frame of the app.
type heard struct {
	link *stubservice.Link
	body []byte // without length
}

// lane is what the app does with one of its containers.
type lane struct {
	links  chan *stubservice.Link
	frames chan heard
	early  []heard
	open   int // links that have a name
}

// replay plays the service for one app through transcripts.
type replay struct {
	svc     *stubservice.Service
	app     *legacy.App
	stop    context.CancelFunc
	ended   chan struct{}
	stopped bool // by a step
	backend []func() error
	done    chan error // of the last backend send
	patient time.Duration

	mu     sync.Mutex
	lanes  map[string]*lane
	events []string

	links  map[string]*stubservice.Link // by recorded name
	shaken map[string]bool              // links whose handshake is done
	owners map[string]string            // of clients: the container and link they were opened on
	closed map[string]bool              // clients that the service has closed
	acks   map[int]int                  // recorded ack ids to ours
}

// newReplay starts the recorded application and shakes the hands of the links
// that it has at the start, some for each container.
func newReplay(t *testing.T, o legacy.Options, links, scale int, ack time.Duration) *replay {
	t.Helper()
	return newReplayOf(t, o, links, scale, ack, func(*stubservice.Service) {})
}

// newReplayOf is newReplay with a service that is made ready first.
func newReplayOf(t *testing.T, o legacy.Options, links, scale int, ack time.Duration, ready func(*stubservice.Service)) *replay {
	t.Helper()
	r := &replay{
		patient: patience, lanes: map[string]*lane{}, links: map[string]*stubservice.Link{}, shaken: map[string]bool{}, owners: map[string]string{}, closed: map[string]bool{}, acks: map[int]int{},
		ended: make(chan struct{}),
	}
	r.svc = stubservice.New(t, r.accept)
	ready(r.svc)
	o.ConnectionString, o.Connections = r.svc.ConnectionString(), links
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	app, err := legacy.NewRecorded(o, legacy.Pace(scale, ack), r.log)
	if err != nil {
		t.Fatal(err)
	}
	r.app, r.backend = app, app.BackendSends()
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() {
		defer close(r.ended)
		app.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		r.svc.HangUp()
		<-r.ended
	})
	return r
}

// shake names the first links of each container and accepts their handshakes.
func (r *replay) shake(t *testing.T, links int) {
	t.Helper()
	for _, hub := range []string{"legacyapp_legacyapp", "legacyapp_chat", "legacyapp_news", "legacyapp_secret"} {
		for range links {
			name, err := r.next(hub)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.take(step{who: "app", conn: name, name: "HandshakeRequest", body: handshake}); err != nil {
				t.Fatal(err)
			}
			r.accepts(name)
		}
	}
	select {
	case <-r.app.Connected():
	case <-time.After(patience):
		t.Fatal("not connected")
	}
}

func (r *replay) accepts(name string) {
	r.links[name].Send(&serviceproto.HandshakeResponse{})
	r.shaken[name] = true
}

var handshake = []byte{8, 0x97, 1, 1, 0, 0xa0, 0, 0x80, 0xc2}

func (r *replay) lane(hub string) *lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lanes[hub] == nil {
		r.lanes[hub] = &lane{links: make(chan *stubservice.Link, 64), frames: make(chan heard, 4096)}
	}
	return r.lanes[hub]
}

func (r *replay) accept(l *stubservice.Link) {
	n := r.lane(l.Request.URL.Query().Get("hub"))
	n.links <- l
	go func() { // ends with the link
		for b := range l.Frames {
			n.frames <- heard{l, b}
		}
	}()
}

func (r *replay) log(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

// next gives the next link of a container its name.
func (r *replay) next(hub string) (string, error) {
	n := r.lane(hub)
	select {
	case l := <-n.links:
		name := hub + "#" + strconv.Itoa(n.open)
		n.open++
		r.links[name] = l
		return name, nil
	case <-time.After(r.patient):
		return "", fmt.Errorf("no more server connection of %s", hub)
	}
}

// link is the link with a recorded name, which may be new.
func (r *replay) link(name string) (*stubservice.Link, error) {
	for r.links[name] == nil {
		hub, _, _ := strings.Cut(name, "#")
		if _, err := r.next(hub); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return r.links[name], nil
}

// play goes through the steps: what the service said is sent when the app has
// said all that it had said by then.
func (r *replay) play(steps []step) error {
	var events []string
	for i, s := range steps {
		var err error
		switch {
		case s.who == "event":
			events = append(events, s.name)
		case s.who == "do" && s.name == "stop":
			r.stop()
			r.stopped = true
		case s.who == "do":
			err = r.send()
		case s.who == "service":
			err = r.say(s)
		case s.name == "close", s.name == "dropped":
			err = r.closes(s)
		default:
			_, err = r.take(s)
		}
		if err != nil {
			return fmt.Errorf("step %d, %s %s %s: %w", i+1, s.who, s.conn, s.name, err)
		}
	}
	if err := r.sent(); err != nil {
		return err
	}
	if err := r.fence(); err != nil {
		return err
	}
	return r.logged(events)
}

// send starts the next of the back end's sends, when the last has gone well.
func (r *replay) send() error {
	if err := r.sent(); err != nil {
		return err
	}
	f := r.backend[0]
	r.backend, r.done = r.backend[1:], make(chan error, 1)
	go func(done chan error) { done <- f() }(r.done) // ends with its Ack
	return nil
}

func (r *replay) sent() error {
	if r.done == nil {
		return nil
	}
	defer func() { r.done = nil }()
	return <-r.done
}

// say plays a step of the service.
func (r *replay) say(s step) error {
	l, err := r.link(s.conn)
	if err != nil {
		return err
	}
	if s.name == "close" {
		l.Write(8, []byte{3, 0xe8})
		return nil
	}
	heeded := false
	for _, m := range s.messages() {
		switch m := m.(type) {
		case *serviceproto.HandshakeResponse:
			r.shaken[s.conn] = true
		case *serviceproto.OpenConnection:
			if r.owners[m.ConnectionID] == "" {
				r.owners[m.ConnectionID] = s.conn
			}
		case *serviceproto.CloseConnection:
			r.closed[m.ConnectionID] = true
		case *serviceproto.Ack:
			m.AckID = r.acks[m.AckID]
			l.Send(m)
			return nil
		case *serviceproto.Ping:
			// It is for the whole container, and what follows comes by other links.
			heeded = len(m.Words) > 0 && m.Words[0] == "d-m"
		}
	}
	l.Write(2, s.body)
	if heeded {
		_, err = r.echo(s.conn)
	}
	return err
}

// echo waits until the app has read all that it was sent on a link.
func (r *replay) echo(name string) (heard, error) {
	echo := serviceproto.Append(nil, &serviceproto.Ping{Words: []string{"echo", name}})
	r.links[name].Write(2, echo)
	return r.take(step{conn: name, name: "Ping", body: echo})
}

// closes waits for the end of a link, with or without a close frame.
func (r *replay) closes(s step) error {
	l, err := r.link(s.conn)
	if err != nil {
		return err
	}
	want := map[string]int{"close": 1000, "dropped": 0}[s.name]
	select {
	case status := <-l.Closed:
		l.Closed <- status // for fence
		if status != want {
			return fmt.Errorf("closed with %d, want %d", status, want)
		}
		return nil
	case <-time.After(r.patient):
		return fmt.Errorf("the app does not close")
	}
}

// take takes the app's frame that is the step's. It comes on the link that owns
// the client, or on any of the container: which one is the SDK's choice by
// chance. It is the next one of its link, but completions may overtake each
// other (legacy-service-protocol 3.5).
func (r *replay) take(s step) (heard, error) {
	want := s.messages()[0]
	l, err := r.link(s.conn)
	if err != nil {
		return heard{}, err
	}
	strict := want.Type() == serviceproto.TypeHandshakeRequest || want.Type() == serviceproto.TypeCloseConnection || want.Type() == serviceproto.TypePing
	if d, ok := want.(*serviceproto.ConnectionData); ok {
		strict = r.owners[d.ConnectionID] != ""
	}
	n := r.lane(s.container())
	deadline := time.After(r.patient)
	for {
		passed := map[*stubservice.Link][]serviceproto.Message{}
		for i, h := range n.early {
			got, err := new(serviceproto.Decoder).Decode(slices.Clone(h.body))
			if err != nil {
				return heard{}, err
			}
			if (!strict || h.link == l) && r.same(want, got, s.body) && overtakes(got, passed[h.link]) {
				n.early = slices.Delete(n.early, i, i+1)
				return h, nil
			}
			if !r.late(h.body) {
				passed[h.link] = append(passed[h.link], got)
			}
		}
		select {
		case h := <-n.frames:
			if m, err := new(serviceproto.Decoder).Decode(slices.Clone(h.body)); err != nil || !stubservice.KeepAlive(m) {
				n.early = append(n.early, h)
			}
		case <-deadline:
			return heard{}, fmt.Errorf("the app does not say %x, but %s", s.body, spoken(n.early))
		}
	}
}

func spoken(all []heard) string {
	var b strings.Builder
	for _, h := range all {
		fmt.Fprintf(&b, "\n  %q", h.body)
	}
	return cmp.Or(b.String(), "nothing")
}

// overtakes reports whether a frame may come before others of its link. Several
// hubs of a client hear of its end at the same time, so their commands too have
// no order.
func overtakes(m serviceproto.Message, others []serviceproto.Message) bool {
	for _, o := range others {
		if !(completes(m) && completes(o)) && !(ackOf(m) != nil && ackOf(o) != nil) {
			return false
		}
	}
	return true
}

func completes(m serviceproto.Message) bool {
	d, ok := m.(*serviceproto.ConnectionData)
	return ok && !bytes.Contains(d.Data, []byte(`{"C":"0"`))
}

// same compares a frame with the recorded one, whose ack id and tracing id stand
// for ours.
func (r *replay) same(want, got serviceproto.Message, body []byte) bool {
	if want.Type() != got.Type() {
		return false
	}
	recorded, ours := traceOf(want), traceOf(got)
	if (*recorded == 0) != (*ours == 0) {
		return false
	}
	trace := *ours
	*ours = *recorded
	ack, live := ackOf(want), ackOf(got)
	id := 0
	if ack != nil {
		id, *live = *live, *ack
	}
	if d, ok := got.(*serviceproto.ConnectionData); ok {
		for recorded, ours := range r.acks { // in the text of an error
			d.Data = bytes.Replace(d.Data, fmt.Appendf(nil, "(ackId: %d)", ours), fmt.Appendf(nil, "(ackId: %d)", recorded), 1)
		}
	}
	equal := bytes.Equal(serviceproto.Append(nil, got), body)
	*ours = trace
	if equal && ack != nil {
		r.acks[*ack] = id
	}
	return equal
}

func traceOf(m serviceproto.Message) *uint64 {
	switch m := m.(type) {
	case *serviceproto.BroadcastData:
		return &m.TracingID
	case *serviceproto.UserData:
		return &m.TracingID
	case *serviceproto.GroupBroadcastData:
		return &m.TracingID
	case *serviceproto.ConnectionData:
		return &m.TracingID
	case *serviceproto.JoinGroupWithAck:
		return &m.TracingID
	case *serviceproto.LeaveGroupWithAck:
		return &m.TracingID
	}
	return new(uint64)
}

func ackOf(m serviceproto.Message) *int {
	switch m := m.(type) {
	case *serviceproto.JoinGroupWithAck:
		return &m.AckID
	case *serviceproto.LeaveGroupWithAck:
		return &m.AckID
	}
	return nil
}

// fence makes sure that the app has nothing more to say: every link that is open
// answers an echo next. An app that was stopped has none.
func (r *replay) fence() error {
	if r.stopped {
		<-r.ended
		for hub, n := range r.lanes {
			if len(n.early) > 0 || len(n.frames) > 0 {
				return fmt.Errorf("the app says more on %s", hub)
			}
		}
		return nil
	}
	for name, l := range r.links {
		if !r.shaken[name] {
			continue
		}
		hub, _, _ := strings.Cut(name, "#")
		select {
		case status := <-l.Closed:
			l.Closed <- status
			continue
		default:
		}
		h, err := r.echo(name)
		if err != nil {
			return fmt.Errorf("fence: %w", err)
		}
		for _, other := range r.lane(hub).early {
			if other.link == h.link && !r.late(other.body) {
				return fmt.Errorf("the app says %q too", other.body)
			}
		}
	}
	return nil
}

// drain reads what the app has said on every link up to the answer of an echo, and
// forgets it.
func (r *replay) drain() {
	for name, l := range r.links {
		hub, _, _ := strings.Cut(name, "#")
		n := r.lane(hub)
		n.early = nil
		echo := serviceproto.Append(nil, &serviceproto.Ping{Words: []string{"echo", name}})
		l.Write(2, echo)
		for answered := false; r.shaken[name] && !answered; {
			select {
			case h := <-n.frames:
				answered = bytes.Equal(h.body, echo[1:])
			case <-l.Closed:
				l.Closed <- 1000
				answered = true
			case <-time.After(patience):
				answered = true // what follows will fail
			}
		}
	}
}

// late reports whether a frame is the completion of a client that the service has
// closed meanwhile: whether it is sent is chance.
func (r *replay) late(body []byte) bool {
	m, err := new(serviceproto.Decoder).Decode(slices.Clone(body))
	d, ok := m.(*serviceproto.ConnectionData)
	return err == nil && ok && completes(d) && r.closed[d.ConnectionID]
}

// settle throws away what a failed scenario left, clients that it opened among
// it.
func (r *replay) settle(steps []step) {
	for _, s := range steps {
		for _, m := range s.messages() {
			if open, ok := m.(*serviceproto.OpenConnection); ok {
				delete(r.owners, open.ConnectionID)
			}
		}
	}
	r.drain()
	r.mu.Lock()
	r.events = nil
	r.mu.Unlock()
}

var ofClient = regexp.MustCompile(`^\w+ On\w+ (\S+)`)

// logged waits for what the hubs had logged. Clients that the recording opened in
// another scenario, which it does not have, are left out.
func (r *replay) logged(want []string) error {
	known := func(events []string) (all []string) {
		for _, e := range events {
			if m := ofClient.FindStringSubmatch(e); m == nil || r.owners[m[1]] != "" {
				all = append(all, e)
			}
		}
		slices.Sort(all)
		return all
	}
	want = known(want)
	var got []string
	if r.stopped { // the recorder lost what the process had logged; its end raised nothing
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range r.events {
			if strings.Contains(e, "OnDisconnected") {
				return fmt.Errorf("the hubs log %s", e)
			}
		}
		return nil
	}
	for end := time.Now().Add(r.patient); time.Now().Before(end); {
		r.mu.Lock()
		got = known(r.events)
		done := slices.Equal(got, want)
		if done {
			r.events = nil
		}
		r.mu.Unlock()
		if done {
			return nil
		}
		if err := r.fence(); err != nil {
			return err
		}
	}
	return fmt.Errorf("the hubs log\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
}
