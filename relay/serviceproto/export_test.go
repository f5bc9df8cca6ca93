package serviceproto

// Empty returns a message of type t without values, nil when t is not known.
func Empty(t Type) Message { return new(Decoder).empty(t) }
