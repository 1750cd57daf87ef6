package wire

import "github.com/nats-io/nats.go/jetstream"

// BucketACME is the JetStream KV bucket with the certificates that edges have ordered, their private keys, the key of
// the account, and answers to challenges. Only edges may read it.
const BucketACME = "ACME"

// ACMEConfig is the configuration of the bucket. It is on disk: a CA gives few certificates a week for one name.
func ACMEConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: BucketACME, Description: "certificates and their keys, for edges alone",
		Storage: jetstream.FileStorage, MaxBytes: 4 << 20}
}
