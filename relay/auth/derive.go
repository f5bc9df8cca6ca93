package auth

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Derive makes a key of each access key, the primary's first, that is good for
// one purpose and tells nothing about the access key. Nodes with the same
// access keys derive the same.
func (k *Keys) Derive(purpose string) [][]byte {
	all := make([][]byte, len(k.all))
	for i, key := range k.all {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(purpose))
		all[i] = h.Sum(nil)
	}
	return all
}
