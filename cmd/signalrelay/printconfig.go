package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// printConfig writes the effective configuration as a file that serve can read,
// with the source of every value, and then says what is wrong with it.
func (p *Program) printConfig(c *Config, k *kong.Context) error {
	flags := map[string]*kong.Flag{}
	for _, f := range k.Flags() {
		flags[f.Name] = f
	}
	var b bytes.Buffer
	c.eachField(func(field reflect.StructField, value reflect.Value) {
		name := field.Tag.Get("name")
		_, secret := field.Tag.Lookup("secret")
		fmt.Fprintf(&b, "%s: %s # %s\n", name, yamlValue(value, secret), p.layers.source(k, flags[name]))
	})
	if _, err := p.Stdout.Write(b.Bytes()); err != nil {
		return err
	}
	_, err := newService(p, c)
	return err
}

// yamlValue writes a value in the part of YAML that is JSON.
func yamlValue(v reflect.Value, secret bool) string {
	switch v.Kind() {
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = yamlValue(v.Index(i), secret)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Bool, reflect.Int:
		return fmt.Sprint(v.Interface())
	}
	text := fmt.Sprint(v.Interface())
	if secret {
		text = mask
	}
	quoted, err := json.Marshal(text)
	if err != nil { // a string always has a JSON form
		panic(err)
	}
	return string(quoted)
}
