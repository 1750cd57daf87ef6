package wire

import (
	"slices"
	"strings"
)

// ValidReply reports whether a reply subject is an inbox of a role. Services drop a message with any other: NATS does
// not compare a reply subject with what its requester may publish, so an answer would go wherever the service itself
// may publish, such as to $JS.API.STREAM.DELETE.
func ValidReply(subject string) bool {
	prefix, token, ok := strings.Cut(subject, ".")
	if !ok || token == "" || strings.ContainsAny(token, "*>") {
		return false
	}
	role, ok := strings.CutPrefix(prefix, rolePrefix)
	return prefix == InboxPrefix(RoleOperator) || ok && slices.Contains(roles[:], Role(role))
}
