package suite

// ClientPack and Packed let the client of the tests speak MessagePack.
type ClientPack = clientPack

// Receive is what came, as JSON.
func (p *clientPack) Receive(chunk []byte) []string { return p.receive(chunk) }

// Packed is a message in MessagePack.
func Packed(text string) ([]byte, error) { return packed(text) }
