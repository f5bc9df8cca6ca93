package record

import (
	"bytes"
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
)

// timeIn finds the members of a token's payload that are times.
var timeIn = regexp.MustCompile(`"(exp|nbf|iat)"\s*:\s*([0-9]{1,12})\b`)

// signedWith is what a JSON Web Token says, with its times as bounds, when it is
// signed with the key; else nil.
func signedWith(key, text string) *conformance.Token {
	parts := strings.Split(text, ".")
	if key == "" || len(parts) != 3 {
		return nil
	}
	decode := base64.RawURLEncoding.DecodeString
	head, err1 := decode(parts[0])
	payload, err2 := decode(parts[1])
	signature, err3 := decode(parts[2])
	var header struct{ Alg string }
	if err1 != nil || err2 != nil || err3 != nil || json.Unmarshal(head, &header) != nil {
		return nil
	}
	right, err := conformance.Signature(header.Alg, key, parts[0]+"."+parts[1])
	var flat bytes.Buffer
	if err != nil || !hmac.Equal(right, signature) || json.Compact(&flat, payload) != nil {
		return nil
	}
	now := time.Now()
	return &conformance.Token{Algorithm: header.Alg, Payload: timeIn.ReplaceAllStringFunc(flat.String(), func(member string) string {
		found := timeIn.FindStringSubmatch(member)
		at, _ := strconv.ParseInt(found[2], 10, 64) // up to twelve digits
		return fmt.Sprintf(`"%s":"${unix%+dm}"`, found[1], int64(time.Unix(at, 0).Sub(now).Round(time.Minute)/time.Minute))
	})}
}
