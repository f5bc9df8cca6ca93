package conformance

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInOrder(t *testing.T) {
	const (
		first  = "client h1> GET ?id=${c1token}\n  Upgrade: websocket\nserver h1> 101\n"
		second = "client h2> GET ?id=${c1token}\n  Upgrade: websocket\n"
		third  = "client h3> GET ?id=${c1token}\n  Upgrade: websocket\n"
		answer = "server h2> 101\n"
		more   = "server c1> text `a`\nclient c1> text `b`\n"
		drop   = "client c1> drop\n"
		other  = "client c2> text `c`\n"
		after  = "client c1-2> text `d`\n"
	)
	for _, c := range []struct{ name, was, want string }{
		{"as it was", first + more + drop + second + answer + after, first + more + drop + second + answer + after},
		{"seen before the answer", first + second + more + other + drop + answer + after, first + more + other + drop + second + answer + after},
		{"seen after the answer", first + second + more + answer + other + after + drop, first + drop + second + "server c1> text `a`\n" + answer + other + after},
		{"never seen", first + second + more + answer, first + second + more + answer},
		{"the third", first + second + drop + answer + third + "client c1-2> drop\n" + "server h3> 101\n",
			first + drop + second + answer + "client c1-2> drop\n" + third + "server h3> 101\n"},
		{"refused", first + second + more + drop + "server h2> 404\n", first + second + more + drop + "server h2> 404\n"},
		{"of another", strings.Replace(first, "c1", "c2", 1) + second + drop + answer, strings.Replace(first, "c1", "c2", 1) + second + drop + answer},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, err := Load([]byte(c.was))
			if err != nil {
				t.Fatal(err)
			}
			tr.Steps = inOrder(tr.Steps)
			if diff := cmp.Diff(c.want, strings.TrimPrefix(string(tr.Text()), "\n")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
