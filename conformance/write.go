package conformance

import (
	"fmt"
	"strconv"
)

// Text returns the transcript as [Load] reads it. Names, about lines and
// remarks must hold no line break.
func (t *Transcript) Text() []byte {
	var b []byte
	for _, h := range t.head() {
		if *h.value != "" {
			b = fmt.Appendf(b, "# %s: %s\n", h.name, *h.value)
		}
	}
	b = append(b, '\n')
	for _, s := range t.Steps {
		b = append(s.append(b), '\n')
	}
	return b
}

// A headLine is one of the lines that open a transcript.
type headLine struct {
	name  string
	value *string
}

func (t *Transcript) head() []headLine {
	return []headLine{{"name", &t.Name}, {"sdk", &t.SDK}, {"about", &t.About}, {"from", &t.From}}
}

// String returns the step as it stands in a transcript.
func (s Step) String() string { return string(s.append(nil)) }

func (s Step) append(b []byte) []byte {
	b = append(b, s.Who...)
	if s.Conn != "" {
		b = append(append(b, ' '), s.Conn...)
	}
	b = append(b, "> "...)
	if s.After > 0 {
		b = fmt.Appendf(b, "after %v ", s.After)
	}
	if s.Within > 0 {
		b = fmt.Appendf(b, "within %v ", s.Within)
	}
	switch said := s.Said.(type) {
	case Frame:
		b = appendFrame(b, said)
	case Request:
		b = fmt.Appendf(b, "%s %s", said.Method, said.Target)
		b = appendFields(b, said.Header)
		if said.Token != nil {
			word := "token"
			if said.Token.Forged {
				word = "forged"
			}
			b = fmt.Appendf(b, "\n  %s %s %s", word, said.Token.Algorithm, said.Token.Payload)
		}
		b = appendBody(b, said.Body)
	case Response:
		b = strconv.AppendInt(b, int64(said.Status), 10)
		b = appendFields(b, said.Header)
		b = appendBody(b, said.Body)
	case Data:
		b = append(append(b, said.Kind...), ' ')
		b = appendBytes(b, said.Bytes)
	case Close:
		b = append(b, "close"...)
		if said.Code != 0 {
			b = fmt.Appendf(b, " %d", said.Code)
		}
		if said.Reason != "" {
			b = appendText(append(b, ' '), said.Reason)
		}
	case Drop:
		b = append(b, "drop"...)
	case Connect:
		b = fmt.Appendf(b, "connect %s", said.Transport)
		if said.Query != "" {
			b = fmt.Appendf(b, " ?%s", said.Query)
		}
	case Resume:
		b = append(b, "resume"...)
	case Remark:
		b = append(b, said...)
	}
	return b
}

func appendFields(b []byte, fields []Field) []byte {
	for _, f := range fields {
		b = fmt.Appendf(b, "\n  %s: %s", f.Name, f.Value)
	}
	return b
}

func appendBody(b, body []byte) []byte {
	if len(body) == 0 {
		return b
	}
	return appendBytes(append(b, "\n  body "...), body)
}
