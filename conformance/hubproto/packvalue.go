package hubproto

import (
	"errors"
	"time"

	"github.com/tinylib/msgp/msgp"
)

func (p packProtocol) AppendValue(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return msgp.AppendNil(dst), nil
	case Raw:
		return append(dst, v...), nil
	case bool:
		return msgp.AppendBool(dst, v), nil
	case int:
		return appendNumber(dst, int64(v)), nil
	case int64:
		return appendNumber(dst, v), nil
	case uint64:
		return msgp.AppendUint64(dst, v), nil
	case float64:
		return msgp.AppendFloat64(dst, v), nil
	case string:
		return msgp.AppendString(dst, v), nil
	case *string:
		if v == nil {
			return msgp.AppendNil(dst), nil
		}
		return msgp.AppendString(dst, *v), nil
	case []byte:
		if v == nil {
			return msgp.AppendNil(dst), nil
		}
		return msgp.AppendBytes(dst, v), nil
	case time.Time:
		return msgp.AppendTimeExt(dst, v), nil
	case []string:
		return appendPackList(p, dst, v)
	case []int:
		return appendPackList(p, dst, v)
	case []any:
		return appendPackList(p, dst, v)
	case Object:
		dst = msgp.AppendMapHeader(dst, uint32(len(v)))
		for _, f := range v {
			var err error
			if dst, err = p.AppendValue(msgp.AppendString(dst, f.Name), f.Value); err != nil {
				return dst, err
			}
		}
		return dst, nil
	}
	return dst, noEncoding(v)
}

func appendPackList[T any](p packProtocol, dst []byte, list []T) (_ []byte, err error) {
	dst = msgp.AppendArrayHeader(dst, uint32(len(list)))
	for _, v := range list {
		if dst, err = p.AppendValue(dst, v); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (p packProtocol) Bind(r Raw, v any) (err error) {
	null := msgp.IsNil(r)
	switch v := v.(type) {
	case *Raw:
		*v = r
		return nil
	case *string:
		*v, _, err = msgp.ReadStringBytes(r)
	case **string:
		if *v = nil; null {
			return nil
		}
		var text string
		text, _, err = msgp.ReadStringBytes(r)
		*v = &text
	case *bool:
		*v, _, err = msgp.ReadBoolBytes(r)
	case *int:
		*v, _, err = msgp.ReadIntBytes(r)
	case *int64:
		*v, _, err = msgp.ReadInt64Bytes(r)
	case *float64:
		*v, err = readFloat(r)
	case *[]byte:
		if *v = nil; null {
			return nil
		}
		*v, _, err = msgp.ReadBytesBytes(r, nil)
	case *[]string:
		err = bindPackList(r, null, v, msgp.ReadStringBytes)
	case *[]int:
		err = bindPackList(r, null, v, msgp.ReadIntBytes)
	case *map[string]Raw:
		if *v = nil; null {
			return nil
		}
		*v, err = readMap(r)
	case *any:
		*v, _, err = readAny(r, 0)
	default:
		return wrongKind(v)
	}
	return orWrong(err, v)
}

// readFloat takes integers too, since writers shorten whole numbers.
func readFloat(r Raw) (float64, error) {
	if f, _, err := msgp.ReadFloat64Bytes(r); err == nil {
		return f, nil
	}
	n, _, err := msgp.ReadInt64Bytes(r)
	return float64(n), err
}

func bindPackList[T any](r Raw, null bool, to *[]T, read func([]byte) (T, []byte, error)) error {
	if *to = nil; null {
		return nil
	}
	n, b, err := msgp.ReadArrayHeaderBytes(r)
	*to = []T{}
	for ; n > 0 && err == nil; n-- {
		var v T
		v, b, err = read(b)
		*to = append(*to, v)
	}
	return err
}

func readMap(r Raw) (map[string]Raw, error) {
	n, b, err := msgp.ReadMapHeaderBytes(r)
	if err != nil {
		return nil, err
	}
	m := map[string]Raw{}
	e := &elements{b: b}
	for ; n > 0; n-- {
		var name string
		if name, e.b, err = msgp.ReadStringBytes(e.b); err != nil {
			return nil, err
		}
		if m[name], err = e.value("member"); err != nil {
			return nil, err
		}
	}
	return m, nil
}

var errDepth = errors.New("nested too deep")

// readAny decodes a value of any kind. Lists and maps grow with what is there,
// not with what their heads announce.
func readAny(b []byte, depth int) (any, []byte, error) {
	if depth >= maxDepth {
		return nil, b, errDepth
	}
	switch msgp.NextType(b) {
	case msgp.ArrayType:
		n, b, err := msgp.ReadArrayHeaderBytes(b)
		list := []any{}
		for ; n > 0 && err == nil; n-- {
			var v any
			v, b, err = readAny(b, depth+1)
			list = append(list, v)
		}
		return list, b, err
	case msgp.MapType:
		n, b, err := msgp.ReadMapHeaderBytes(b)
		m := map[string]any{}
		for ; n > 0 && err == nil; n-- {
			var name string
			if name, b, err = msgp.ReadStringBytes(b); err == nil {
				m[name], b, err = readAny(b, depth+1)
			}
		}
		return m, b, err
	}
	return msgp.ReadIntfBytes(b)
}
