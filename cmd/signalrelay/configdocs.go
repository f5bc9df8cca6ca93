package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
)

//go:generate go run . config-docs --output ../../docs/configuration.md

type configDocsCmd struct {
	Output string `name:"output" placeholder:"FILE" help:"File to write; standard output when empty."`
}

// Run is called by kong.
func (c *configDocsCmd) Run(p *Program) error {
	var b bytes.Buffer
	writeConfigDocs(&b)
	if c.Output == "" {
		_, err := p.Stdout.Write(b.Bytes())
		return err
	}
	return os.WriteFile(c.Output, b.Bytes(), 0o644)
}

const configIntro = `<!-- Generated from the Config struct in cmd/signalrelay/config.go by go generate. Do not edit. -->

# Configuration

` + "`signalrelay serve`" + ` runs without any. It then listens on 127.0.0.1:8888 with the development key of
Microsoft's emulator, and prints the connection string to give to the app.

Every key below is a flag, a key of the configuration file and an environment variable at once. Flags win over the
environment, the environment wins over the file, the file wins over the default.

` + "```" + `
signalrelay serve --config relay.yaml      # or SIGNALRELAY_CONFIG=relay.yaml
signalrelay serve --config relay.yaml --check          # validate and exit
signalrelay serve --config relay.yaml --print-config   # what is in effect, and where it comes from
` + "```" + `

` + "```yaml" + `
# relay.yaml
listen: 0.0.0.0:8888
access-key-file: [/run/secrets/primary, /run/secrets/secondary]
drain-time: 30s
` + "```" + `

* An unknown key of the file is an error that names the nearest key; an unknown SIGNALRELAY_ variable is a warning.
* Lists are YAML lists in the file, repeated flags on the command line and separated by commas in the environment.
* Sizes are bytes, or have the unit KiB, MiB or GiB. Times have a unit: 500ms, 10s, 2m.
* Prefer access-key-file to access-key: flags can be read by other users of the machine. Secrets are never printed or logged.
* A second or further access key is for rotation: all are accepted, the first is the one to give out.
* The public development key is refused on any address that other machines can reach.
`

// writeConfigDocs writes docs/configuration.md.
func writeConfigDocs(w io.Writer) {
	io.WriteString(w, configIntro)
	group := ""
	new(Config).eachField(func(f reflect.StructField, _ reflect.Value) {
		if g := f.Tag.Get("group"); g != group {
			group = g
			fmt.Fprintf(w, "\n## %s\n\n| key | value | default | environment | |\n|---|---|---|---|---|\n", group)
		}
		name, fallback := f.Tag.Get("name"), f.Tag.Get("default")
		if fallback != "" {
			fallback = "`" + fallback + "`"
		}
		help := strings.ReplaceAll(f.Tag.Get("help"), "*", `\*`)
		fmt.Fprintf(w, "| `%s` | %s | %s | `%s` | %s |\n", name, valueKind(f), fallback, envName(name), help)
	})
}

// valueKind says what a value looks like.
func valueKind(f reflect.StructField) string {
	kind := f.Tag.Get("placeholder")
	switch {
	case f.Type.Kind() == reflect.Bool:
		return "true or false"
	case f.Type.Kind() == reflect.Slice:
		return "list of " + kind
	case f.Tag.Get("unit") != "":
		return kind + ", " + f.Tag.Get("unit")
	case f.Tag.Get("enum") != "":
		return strings.ReplaceAll(f.Tag.Get("enum"), ",", ", ")
	}
	return kind
}
