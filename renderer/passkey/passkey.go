// Package passkey makes and checks the challenges of passkeys (WebAuthn).
//
// **Input**: where a visitor's browser is, the passkeys that a user has, and what an authenticator has answered.
// **Output**: options for a browser, and credentials that were proved. **Must not touch**: the database, the bus.
//
// No state is kept between the two steps of a ceremony, so any renderer may answer the second one. A challenge is
// sealed instead: it says until when it is valid, and a MAC binds it to what it was made for, to the address of the
// site, to the browser, and to the user and the password that the user has typed. That it is answered once only is for
// the caller to see to, who is given the challenge.
//
// Users must be verified (by a finger, a face or a PIN): a passkey stands for both name and password, and a security
// key that is lost must open nothing.
//
// Files: passkey.go, the two ceremonies; challenge.go, what seals them.
package passkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Errors. What else an answer is refused for, such as a signature that does not fit, is ErrRefused.
var (
	ErrExpired = errors.New("the challenge is no longer valid")
	ErrRefused = errors.New("the answer of the authenticator is refused")
)

// Ceremonies runs ceremonies for one site.
type Ceremonies struct {
	name string
	key  []byte
}

// New returns the ceremonies of the site with a name, which authenticators show. All renderers need the same key, 32
// random bytes.
func New(name string, key []byte) *Ceremonies { return &Ceremonies{name, key} }

// Place is where and when a step of a ceremony takes place.
type Place struct {
	Origin  string // of the site, as the browser knows it, such as "https://photos.example"
	Browser string // a secret of the browser
	Now     time.Time
}

// longestHost is the longest name that DNS has, in bytes.
const longestHost = 253

// Host is the host of the origin, for which passkeys count; "" if browsers refuse to use any there: they want https, or
// this machine, and no IP address.
func (p Place) Host() string {
	u, err := url.Parse(p.Origin)
	if err != nil {
		return ""
	}
	host := u.Hostname()
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	if protocol.ValidateRPID(host) != nil || len(host) > longestHost || u.Scheme != "https" && !local {
		return ""
	}
	return host
}

// User is whose passkeys are meant.
type User struct {
	ID      int64
	Name    string
	Display string
	// When the password was set that they have typed, for AddOptions and Add: a challenge counts while it holds.
	PasswordAt time.Time
	Records    []json.RawMessage // of the passkeys that they have
}

// Proved is a passkey whose authenticator has answered a challenge.
type Proved struct {
	Credential []byte // its id
	Challenge  []byte // that was answered; nobody may be let in by it again
	Count      int64  // of its signatures, see SignIn
	Record     json.RawMessage
}

// AddOptions returns PublicKeyCredentialCreationOptions as JSON, with which a browser makes a passkey for a user.
func (c *Ceremonies) AddOptions(at Place, u User) ([]byte, error) {
	owner, err := c.owner(u)
	if err != nil {
		return nil, err
	}
	options, _, err := c.beginAdd(at, owner, c.seal(at, u))
	if err != nil {
		return nil, err
	}
	return json.Marshal(options.Response)
}

// Add checks what a browser has answered to [Ceremonies.AddOptions]. Errors: [ErrExpired], [ErrRefused].
func (c *Ceremonies) Add(at Place, u User, answer []byte) (*Proved, error) {
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return nil, refused(err)
	}
	challenge, err := c.open(at, u, parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return nil, err
	}
	owner, err := c.owner(u)
	if err != nil {
		return nil, err
	}
	_, state, err := c.beginAdd(at, owner, challenge)
	if err != nil {
		return nil, err
	}
	ceremony, err := c.ceremony(at)
	if err != nil {
		return nil, err
	}
	credential, err := ceremony.CreateCredential(owner, *state, parsed)
	if err != nil {
		return nil, refused(err)
	}
	return proved(credential, challenge)
}

// SignInOptions returns PublicKeyCredentialRequestOptions as JSON, with which a browser lets a visitor choose a
// passkey.
func (c *Ceremonies) SignInOptions(at Place) ([]byte, error) {
	options, _, err := c.beginSignIn(at, c.seal(at, anybody))
	if err != nil {
		return nil, err
	}
	return json.Marshal(options.Response)
}

// SignIn checks what a browser has answered to [Ceremonies.SignInOptions]. find returns the owner of the passkey with
// an id; its error is returned as it is. Errors: [ErrExpired], [ErrRefused].
//
// The caller compares the count of signatures with the one before, in the transaction that stores it. If it has not
// risen, and either is more than 0, then there is a copy of the passkey, and nobody may be let in.
func (c *Ceremonies) SignIn(at Place, answer []byte, find func(credential []byte) (User, error)) (*Proved, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return nil, refused(err)
	}
	challenge, err := c.open(at, anybody, parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return nil, err
	}
	_, state, err := c.beginSignIn(at, challenge)
	if err != nil {
		return nil, err
	}
	ceremony, err := c.ceremony(at)
	if err != nil {
		return nil, err
	}
	u, err := find(parsed.RawID)
	if err != nil {
		return nil, err
	}
	found, err := c.owner(u)
	if err != nil {
		return nil, err
	}
	credential, err := ceremony.ValidateDiscoverableLogin(
		func(_, _ []byte) (webauthn.User, error) { return found, nil }, *state, parsed)
	if err != nil {
		return nil, refused(err)
	}
	credential.Authenticator.SignCount = parsed.Response.AuthenticatorData.Counter
	credential.Authenticator.CloneWarning = false // the caller decides
	return proved(credential, challenge)
}

func (c *Ceremonies) ceremony(at Place) (*webauthn.WebAuthn, error) {
	host := at.Host()
	if host == "" {
		return nil, fmt.Errorf("%w: there are no passkeys at %q", ErrRefused, at.Origin)
	}
	return webauthn.New(&webauthn.Config{RPID: host, RPDisplayName: c.name, RPOrigins: []string{at.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification:   protocol.VerificationRequired,
		}})
}

// beginAdd returns the options of a ceremony and go-webauthn's state of it. Both follow from the arguments, so the
// second step computes the same as the first.
func (c *Ceremonies) beginAdd(at Place, owner *owner, challenge []byte) (
	*protocol.CredentialCreation, *webauthn.SessionData, error,
) {
	ceremony, err := c.ceremony(at)
	if err != nil {
		return nil, nil, err
	}
	return ceremony.BeginRegistration(owner,
		webauthn.WithExclusions(webauthn.Credentials(owner.credentials).CredentialDescriptors()),
		func(options *protocol.PublicKeyCredentialCreationOptions) error {
			options.Challenge = challenge
			return nil
		})
}

// beginSignIn is like beginAdd.
func (c *Ceremonies) beginSignIn(at Place, challenge []byte) (
	*protocol.CredentialAssertion, *webauthn.SessionData, error,
) {
	ceremony, err := c.ceremony(at)
	if err != nil {
		return nil, nil, err
	}
	return ceremony.BeginDiscoverableLogin(webauthn.WithChallenge(challenge),
		webauthn.WithUserVerification(protocol.VerificationRequired))
}

// owner is a User as go-webauthn wants it.
type owner struct {
	User
	handle      []byte
	credentials []webauthn.Credential
}

func (c *Ceremonies) owner(u User) (*owner, error) {
	o := &owner{User: u, handle: c.handle(u.ID)}
	for _, record := range u.Records {
		var credential webauthn.Credential
		if err := json.Unmarshal(record, &credential); err != nil {
			return nil, fmt.Errorf("a passkey of user %d: %w", u.ID, err)
		}
		o.credentials = append(o.credentials, credential)
	}
	return o, nil
}

func (o *owner) WebAuthnID() []byte                         { return o.handle }
func (o *owner) WebAuthnName() string                       { return o.Name }
func (o *owner) WebAuthnDisplayName() string                { return o.Display }
func (o *owner) WebAuthnCredentials() []webauthn.Credential { return o.credentials }

func proved(credential *webauthn.Credential, challenge []byte) (*Proved, error) {
	record, err := json.Marshal(credential)
	if err != nil {
		return nil, fmt.Errorf("a passkey: %w", err)
	}
	return &Proved{Credential: bytes.Clone(credential.ID), Challenge: challenge,
		Count: int64(credential.Authenticator.SignCount), Record: record}, nil
}

// refused wraps an error of go-webauthn, with what it says to programmers.
func refused(err error) error {
	if detail, ok := errors.AsType[*protocol.Error](err); ok && detail.DevInfo != "" {
		return fmt.Errorf("%w: %w: %s", ErrRefused, err, detail.DevInfo)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}
