package conformance

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/relay"
	sp "github.com/signalrelay/signalrelay/relay/serviceproto"
)

// unparsed is the name of a frame that is no message.
const unparsed = "Unparsed"

// messages are the structs of all service messages, by name.
var messages = func() map[string]reflect.Type {
	byName := map[string]reflect.Type{}
	for _, m := range []sp.Message{
		&sp.HandshakeRequest{}, &sp.HandshakeResponse{}, &sp.Ping{}, &sp.OpenConnection{}, &sp.CloseConnection{},
		&sp.ConnectionData{}, &sp.MultiConnectionData{}, &sp.UserData{}, &sp.MultiUserData{}, &sp.BroadcastData{},
		&sp.JoinGroup{}, &sp.LeaveGroup{}, &sp.GroupBroadcastData{}, &sp.MultiGroupBroadcastData{}, &sp.ServiceError{},
		&sp.UserJoinGroup{}, &sp.UserLeaveGroup{}, &sp.JoinGroupWithAck{}, &sp.LeaveGroupWithAck{}, &sp.Ack{},
		&sp.CheckUserInGroupWithAck{}, &sp.ServiceEvent{}, &sp.CheckGroupExistenceWithAck{},
		&sp.CheckConnectionExistenceWithAck{}, &sp.CheckUserExistenceWithAck{}, &sp.UserJoinGroupWithAck{},
		&sp.UserLeaveGroupWithAck{}, &sp.AccessKeyRequest{}, &sp.AccessKeyResponse{}, &sp.CloseConnectionWithAck{},
		&sp.CloseConnectionsWithAck{}, &sp.CloseUserConnectionsWithAck{}, &sp.CloseGroupConnectionsWithAck{},
		&sp.ClientInvocation{}, &sp.ClientCompletion{}, &sp.ErrorCompletion{}, &sp.ServiceMapping{},
		&sp.ConnectionReconnect{}, &sp.ConnectionFlowControl{}, &sp.GroupMemberQuery{}, &sp.RefreshAuth{},
		&sp.GetConnectionClaims{}, &sp.UpdateConnectionClaims{},
	} {
		t := reflect.TypeOf(m).Elem()
		byName[t.Name()] = t
	}
	return byName
}()

// appendFrame writes a frame: on the line its name and the members that are not
// zero, below it the lists of pairs.
func appendFrame(b []byte, f Frame) []byte {
	if f.Message == nil {
		b = append(b, unparsed...)
	} else {
		v := reflect.ValueOf(f.Message).Elem()
		b = append(b, v.Type().Name()...)
		var below []byte
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				continue
			}
			switch value := v.Field(i).Interface().(type) {
			case []relay.Claim:
				for _, c := range value {
					below = append(below, "\n  claim "...)
					below = append(appendString(below, c.Type), ' ')
					below = appendString(below, c.Value)
				}
			case []relay.Header:
				for _, h := range value {
					below = appendString(append(below, "\n  header "...), h.Name)
					for _, s := range h.Values {
						below = appendString(append(below, ' '), s)
					}
				}
			case relay.Payload:
				for _, e := range value {
					below = appendString(append(below, "\n  payload "...), e.Protocol)
					below = appendBytes(append(below, ' '), e.Data)
				}
			default:
				b = fmt.Appendf(b, " %s=", v.Type().Field(i).Name)
				b = appendMember(b, v.Field(i))
			}
		}
		b = append(b, below...)
	}
	if f.Hex != nil {
		b = appendHex(append(b, "\n  hex "...), f.Hex)
	}
	return b
}

func appendMember(b []byte, v reflect.Value) []byte {
	switch value := v.Interface().(type) {
	case []byte:
		return appendBytes(b, value)
	case []string:
		b = append(b, '[')
		for i, s := range value {
			if i > 0 {
				b = append(b, ' ')
			}
			b = appendString(b, s)
		}
		return append(b, ']')
	case string:
		return appendString(b, value)
	case *string:
		return appendString(b, *value)
	case *int:
		return strconv.AppendInt(b, int64(*value), 10)
	case time.Time:
		return value.AppendFormat(b, time.RFC3339Nano)
	}
	return fmt.Append(b, v.Interface()) // int, uint64 and bool
}

// readFrame reads what appendFrame wrote: the line after the name, and the
// lines below it.
func readFrame(name, line string, below []string) (f Frame, err error) {
	if name == unparsed {
		if line != "" {
			return f, fmt.Errorf("unexpected %q", line)
		}
	} else {
		t := messages[name]
		if t == nil {
			return f, fmt.Errorf("unknown message %q", name)
		}
		v := reflect.New(t)
		f.Message = v.Interface().(sp.Message)
		s := scanner{line}
		for s.space(); s.rest != ""; s.space() {
			member, rest, ok := strings.Cut(s.rest, "=")
			field := v.Elem().FieldByName(member)
			if !ok || !field.IsValid() {
				return f, fmt.Errorf("%s has no member %q", name, member)
			}
			s.rest = rest
			if err := readMember(&s, field); err != nil {
				return f, fmt.Errorf("%s: %w", member, err)
			}
		}
	}
	for _, line := range below {
		word, rest, _ := strings.Cut(line, " ")
		if err := readBelow(&f, word, &scanner{rest}); err != nil {
			return f, fmt.Errorf("%s: %w", word, err)
		}
	}
	if f.Message == nil && f.Hex == nil {
		return f, errors.New("no hex")
	}
	return f, nil
}

func readMember(s *scanner, v reflect.Value) error {
	if p, ok := v.Addr().Interface().(*[]string); ok {
		all, err := s.list()
		*p = all
		return err
	}
	text, err := s.value()
	if err != nil {
		return err
	}
	switch p := v.Addr().Interface().(type) {
	case *[]byte:
		*p = []byte(text)
	case *string:
		*p = text
	case **string:
		*p = &text
	case *int:
		*p, err = strconv.Atoi(text)
	case **int:
		*p = new(int)
		**p, err = strconv.Atoi(text)
	case *uint64:
		*p, err = strconv.ParseUint(text, 10, 64)
	case *bool:
		*p, err = strconv.ParseBool(text)
	case *time.Time:
		*p, err = time.Parse(time.RFC3339Nano, text)
		*p = p.UTC()
	default:
		return errors.New("belongs on lines of its own")
	}
	return err
}

// readBelow reads one line below a frame's.
func readBelow(f *Frame, word string, s *scanner) error {
	if word == "hex" {
		if f.Hex != nil {
			return errors.New("twice")
		}
		if !strings.HasPrefix(s.rest, "x\"") {
			return errors.New("no hex")
		}
		text, err := s.value()
		if f.Hex = []byte(text); err != nil {
			return err
		}
		return s.end()
	}
	var values []string
	for s.space(); s.rest != ""; s.space() {
		v, err := s.value()
		if err != nil {
			return err
		}
		values = append(values, v)
	}
	if f.Message == nil {
		return errors.New("no message to belong to")
	}
	v := reflect.ValueOf(f.Message).Elem()
	for i := range v.NumField() {
		switch p := v.Field(i).Addr().Interface().(type) {
		case *[]relay.Claim:
			if word == "claim" && len(values) == 2 {
				*p = append(*p, relay.Claim{Type: values[0], Value: values[1]})
				return nil
			}
		case *[]relay.Header:
			if word == "header" && len(values) > 0 {
				*p = append(*p, relay.Header{Name: values[0], Values: values[1:]})
				return nil
			}
		case *relay.Payload:
			if word == "payload" && len(values) == 2 {
				*p = append(*p, relay.Encoding{Protocol: values[0], Data: []byte(values[1])})
				return nil
			}
		}
	}
	return errors.New("does not belong here")
}
