// Package authenticator plays an authenticator of passkeys and the browser that it is used with, for tests.
package authenticator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// Authenticator holds one passkey. Its fields may be changed between two answers.
type Authenticator struct {
	Origin     string // that the browser is at
	Host       string // that the passkey is for; "": the one that the site names
	Count      uint32 // of signatures; each answer adds Step first
	Step       uint32
	Unverified bool   // the user has touched it, and nothing more
	Credential []byte // the id of the passkey
	Handle     []byte // of its user

	key *ecdsa.PrivateKey
	t   testing.TB
}

// New returns an authenticator in a browser at an origin. It counts its signatures.
func New(t testing.TB, origin string) *Authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id) // never fails, see crypto/rand
	return &Authenticator{Origin: origin, Step: 1, Credential: id, key: key, t: t}
}

// Flags of the authenticator's data.
const (
	userPresent    = 1 << 0
	userVerified   = 1 << 2
	withCredential = 1 << 6
)

// options are the parts of both kinds of options that an answer depends on.
type options struct {
	Challenge string `json:"challenge"`
	HostToGet string `json:"rpId"`
	RP        struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
}

// Create makes the passkey: the answer to PublicKeyCredentialCreationOptions.
func (a *Authenticator) Create(creation string) string {
	a.t.Helper()
	o := a.read(creation)
	a.Handle = a.decode(o.User.ID)
	x, y := a.key.X.FillBytes(make([]byte, 32)), a.key.Y.FillBytes(make([]byte, 32))
	public := a.cbor(map[int]any{1: 2, 3: -7, -1: 1, -2: x, -3: y}) // COSE: EC2, ES256, P-256
	data := a.data(o.RP.ID, withCredential)
	data = append(data, make([]byte, 16)...) // of no known model
	data = binary.BigEndian.AppendUint16(data, uint16(len(a.Credential)))
	data = append(append(data, a.Credential...), public...)
	attestation := a.cbor(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
	return a.answer(map[string]string{"clientDataJSON": encode(a.client("webauthn.create", o)),
		"attestationObject": encode(attestation)})
}

// Get proves that the passkey is there: the answer to PublicKeyCredentialRequestOptions.
func (a *Authenticator) Get(request string) string {
	a.t.Helper()
	o := a.read(request)
	client, data := a.client("webauthn.get", o), a.data(o.HostToGet, 0)
	hash := sha256.Sum256(client)
	signed := sha256.Sum256(append(data[:len(data):len(data)], hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, signed[:])
	if err != nil {
		a.t.Fatal(err)
	}
	return a.answer(map[string]string{"clientDataJSON": encode(client), "authenticatorData": encode(data),
		"signature": encode(signature), "userHandle": encode(a.Handle)})
}

func (a *Authenticator) read(text string) (o options) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(text), &o); err != nil || o.Challenge == "" {
		a.t.Fatalf("options %q: %v", text, err)
	}
	return o
}

// client is what the browser says and the authenticator signs.
func (a *Authenticator) client(kind string, o options) []byte {
	return a.json(map[string]any{"type": kind, "challenge": o.Challenge, "origin": a.Origin, "crossOrigin": false})
}

// data is what the authenticator says itself.
func (a *Authenticator) data(host string, flags byte) []byte {
	if a.Host != "" {
		host = a.Host
	}
	flags |= userPresent
	if !a.Unverified {
		flags |= userVerified
	}
	a.Count += a.Step
	hash := sha256.Sum256([]byte(host))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), a.Count)
}

func (a *Authenticator) answer(response map[string]string) string {
	id := encode(a.Credential)
	return string(a.json(map[string]any{"id": id, "rawId": id, "type": "public-key", "response": response,
		"clientExtensionResults": map[string]any{}, "authenticatorAttachment": "platform"}))
}

func (a *Authenticator) json(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		a.t.Fatal(err)
	}
	return data
}

func (a *Authenticator) cbor(value any) []byte {
	data, err := cbor.Marshal(value)
	if err != nil {
		a.t.Fatal(err)
	}
	return data
}

func (a *Authenticator) decode(text string) []byte {
	a.t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		a.t.Fatal(err)
	}
	return data
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
