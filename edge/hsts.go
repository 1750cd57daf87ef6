package edge

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// HSTS has browsers use nothing but TLS at the host of an edge that encrypts (RFC 6797). The zero value does not.
type HSTS struct {
	MaxAge     time.Duration // for how long, since the last answer; 0: not at all
	Subdomains bool          // at all hosts below it, too
	Preload    bool          // browsers may come with this rule; needs Subdomains and a year
}

// preloadAge is the least age of hosts that browsers come with (hstspreload.org).
const preloadAge = 365 * 24 * time.Hour

// Check returns an error if the fields do not fit together.
func (h HSTS) Check() error {
	if h.Preload && (!h.Subdomains || h.MaxAge < preloadAge) {
		return errors.New("the list that browsers come with takes hosts with all that are below them, for a year or " +
			"longer: add --hsts-subdomains and --hsts 8760h")
	}
	return nil
}

// takesHSTS reports whether browsers may be told to use nothing but TLS at a host, as a request names it: at a name
// that is neither localhost nor below it. There a rule would count for every program of that machine; for an address
// browsers ignore it.
func takesHSTS[T string | []byte](host T) bool {
	end, colon := len(host), len(host)-1
	for colon >= 0 && isDigit(host[colon]) {
		colon--
	}
	if colon >= 0 && host[colon] == ':' {
		end = colon
	}
	if end > 0 && host[end-1] == '.' {
		end--
	}
	label := end
	for label > 0 && host[label-1] != '.' {
		label--
	}
	if label == end || host[0] == '[' {
		return false
	}
	for i := label; i < end; i++ {
		if !isDigit(host[i]) {
			return !strings.EqualFold(string(host[label:end]), "localhost")
		}
	}
	return false // the last part of an IPv4 address is a number, that of a name is none
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// strictTransport is the value of Strict-Transport-Security; nil: none.
func (c *Config) strictTransport() []string {
	if c.HSTS.MaxAge < time.Second || !c.Encrypts() {
		return nil
	}
	value := "max-age=" + strconv.FormatInt(int64(c.HSTS.MaxAge/time.Second), 10)
	if c.HSTS.Subdomains {
		value += "; includeSubDomains"
	}
	if c.HSTS.Preload {
		value += "; preload"
	}
	return []string{value}
}
