package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is shown below the usage.
func (completionCmd) Help() string {
	return "bash: source <(signalrelay completion bash)\nzsh: source <(signalrelay completion zsh)\nfish: signalrelay completion fish | source"
}

// Run is called by kong.
func (c *completionCmd) Run(p *Program) error {
	commands := completions(p.kong.Model.Node)
	switch c.Shell {
	case "fish":
		return fish(p.Stdout, commands)
	case "zsh":
		if _, err := fmt.Fprintln(p.Stdout, "autoload -U +X bashcompinit && bashcompinit"); err != nil {
			return err
		}
	}
	return bash(p.Stdout, commands)
}

type word struct{ name, help string }

type commandWords struct {
	word
	words []word // flags, then fixed values of arguments
}

// completions lists the commands that are shown in help.
func completions(root *kong.Node) (out []commandWords) {
	for _, n := range root.Children {
		if n.Hidden {
			continue
		}
		c := commandWords{word: word{n.Name, n.Help}}
		for _, f := range n.Flags {
			if !f.Hidden {
				c.words = append(c.words, word{"--" + f.Name, f.Help})
			}
			if f.Tag.Negatable != "" {
				c.words = append(c.words, word{"--no-" + f.Name, f.Help})
			}
		}
		for _, a := range n.Positional {
			for _, v := range a.EnumSlice() {
				if v != "" {
					c.words = append(c.words, word{v, ""})
				}
			}
		}
		out = append(out, c)
	}
	return out
}

// bash completes commands, then the words of the command, then files.
func bash(w io.Writer, commands []commandWords) error {
	var b strings.Builder
	b.WriteString("_signalrelay() {\n  local current=${COMP_WORDS[COMP_CWORD]} words\n  case ${COMP_WORDS[1]} in\n")
	var names []string
	for _, c := range commands {
		var words []string
		for _, x := range c.words {
			words = append(words, x.name)
		}
		names = append(names, c.name)
		fmt.Fprintf(&b, "  %s) words=%q ;;\n", c.name, strings.Join(words, " "))
	}
	fmt.Fprintf(&b, "  esac\n  [ \"$COMP_CWORD\" -eq 1 ] && words=%q\n", strings.Join(names, " "))
	b.WriteString("  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\ncomplete -o default -F _signalrelay signalrelay\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func fish(w io.Writer, commands []commandWords) error {
	var b strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&b, "complete -c signalrelay -n __fish_use_subcommand -f -a %s -d %s\n", c.name, quoted(c.help))
		for _, x := range c.words {
			if name, flag := strings.CutPrefix(x.name, "--"); flag {
				fmt.Fprintf(&b, "complete -c signalrelay -n '__fish_seen_subcommand_from %s' -l %s -d %s\n", c.name, name, quoted(x.help))
			} else {
				fmt.Fprintf(&b, "complete -c signalrelay -n '__fish_seen_subcommand_from %s' -f -a %s\n", c.name, x.name)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// quoted is text in single quotes as fish reads them.
func quoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
