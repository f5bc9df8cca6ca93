package main

import (
	"fmt"
	"io"
	"slices"
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
	words []word // subcommands, flags, fixed values of arguments
}

// completions lists the commands that are shown in help.
func completions(root *kong.Node) (out []commandWords) {
	for _, n := range root.Children {
		if n.Hidden {
			continue
		}
		c := commandWords{word: word{n.Name, n.Help}}
		for _, sub := range n.Children {
			c.words = append(c.words, word{sub.Name, sub.Help})
		}
		for _, node := range append([]*kong.Node{n}, n.Children...) {
			c.add(node)
		}
		out = append(out, c)
	}
	return out
}

// add appends what may follow a command: its flags, then what its arguments may
// be. What several subcommands have in common is there once.
func (c *commandWords) add(n *kong.Node) {
	var more []word
	for _, f := range n.Flags {
		if !f.Hidden {
			more = append(more, word{"--" + f.Name, f.Help})
		}
		if f.Tag.Negatable != "" {
			more = append(more, word{"--no-" + f.Name, f.Help})
		}
	}
	for _, a := range n.Positional {
		for _, v := range a.EnumSlice() {
			if v != "" {
				more = append(more, word{v, ""})
			}
		}
	}
	for _, w := range more {
		if !slices.Contains(c.words, w) {
			c.words = append(c.words, w)
		}
	}
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
