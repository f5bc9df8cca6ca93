package conformance

import (
	"bytes"
	"reflect"
	"slices"
	"time"

	"github.com/signalrelay/signalrelay/relay"
	sp "github.com/signalrelay/signalrelay/relay/serviceproto"
)

// cloneMessage copies a message and everything it points to: a Decoder uses its
// messages again, and binding captures changes them.
func cloneMessage(m sp.Message) sp.Message {
	from := reflect.ValueOf(m).Elem()
	to := reflect.New(from.Type())
	to.Elem().Set(from)
	for i := range from.NumField() {
		switch p := to.Elem().Field(i).Addr().Interface().(type) {
		case *[]byte:
			*p = bytes.Clone(*p)
		case *[]string:
			*p = slices.Clone(*p)
		case *[]relay.Claim:
			*p = slices.Clone(*p)
		case *relay.Payload:
			*p = slices.Clone(*p)
			for i := range *p {
				(*p)[i].Data = bytes.Clone((*p)[i].Data)
			}
		case *[]relay.Header:
			*p = slices.Clone(*p)
			for i := range *p {
				(*p)[i].Values = slices.Clone((*p)[i].Values)
			}
		case **string:
			if *p != nil {
				s := **p
				*p = &s
			}
		}
	}
	return to.Interface().(sp.Message)
}

// eachText replaces every text and byte slice in v by what f makes of it.
func eachText(v reflect.Value, f func(string) string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachText(v.Elem(), f)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			eachText(v.Field(i), f)
		}
	case reflect.String:
		v.SetString(f(v.String()))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if v.Len() > 0 {
				v.SetBytes([]byte(f(string(v.Bytes()))))
			}
			return
		}
		for i := range v.Len() {
			eachText(v.Index(i), f)
		}
	}
}
