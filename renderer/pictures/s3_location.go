package pictures

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// s3Scheme begins the location of a [Bucket].
const s3Scheme = "s3://"

// InBucket reports whether a location is that of a [Bucket], not a directory.
func InBucket(location string) bool { return strings.HasPrefix(location, s3Scheme) }

// WithCredentials is the location of a Bucket with a file that has its keys, unless it names one or keys is "".
func WithCredentials(location, keys string) string {
	u, err := url.Parse(location)
	if err != nil || keys == "" || u.Query().Has("credentials") { // OpenBucket says what is wrong
		return location
	}
	query := u.Query()
	query.Set("credentials", keys)
	u.RawQuery = query.Encode()
	return u.String()
}

// s3Location is a location of a Bucket, taken apart.
type s3Location struct {
	bucket, prefix string
	host           string // host or host:port of the server
	secure         bool   // by TLS
	region         string // "": the server is asked
	pathStyle      bool   // https://host/bucket, not https://bucket.host
	authorities    string // file with the certificates that sign the server's; "": those of the machine
	secrets        string // file with the keys; "": they are in the environment
	profile        string // in that file
}

func parseS3(location string) (s3Location, error) {
	wrong := func(problem string, a ...any) (s3Location, error) { // without the location, which may have keys in it
		return s3Location{}, fmt.Errorf("pictures: the address of the bucket %s; say s3://BUCKET?endpoint=https://HOST",
			fmt.Sprintf(problem, a...))
	}
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "s3" {
		return wrong("is none")
	}
	if u.User != nil {
		return wrong("has keys, which others can read: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	at := s3Location{bucket: u.Host, prefix: strings.Trim(u.Path, "/")}
	if s3utils.CheckValidBucketName(at.bucket) != nil {
		return wrong("has %q for the name of the bucket", at.bucket)
	}
	if at.prefix != "" {
		at.prefix += "/"
	}
	endpoint := "https://s3.amazonaws.com"
	for name, values := range u.Query() {
		value := values[len(values)-1]
		switch name {
		case "endpoint":
			endpoint, at.pathStyle = value, true
		case "region":
			at.region = value
		case "ca":
			at.authorities = value
		case "credentials":
			at.secrets = value
		case "profile":
			at.profile = value
		case "path-style":
		default:
			return wrong("has %q, and may have endpoint, region, path-style, ca, credentials and profile only", name)
		}
	}
	if style := u.Query().Get("path-style"); style != "" {
		if at.pathStyle, err = strconv.ParseBool(style); err != nil {
			return wrong("has a path-style of %q, neither true nor false", style)
		}
	}
	server, err := url.Parse(endpoint)
	if err != nil || server.Host == "" || server.Scheme != "https" && server.Scheme != "http" ||
		strings.Trim(server.Path, "/") != "" {
		return wrong("has the endpoint %q, not the https:// or http:// address of a server", endpoint)
	}
	at.host, at.secure = server.Host, server.Scheme == "https"
	return at, nil
}

// credentials are the keys of the environment, or those of a file in the form of ~/.aws/credentials.
func (at *s3Location) credentials() *credentials.Credentials {
	if at.secrets != "" {
		return credentials.NewFileAWSCredentials(at.secrets, at.profile)
	}
	return credentials.NewEnvAWS()
}

// transport sends requests. Its bounds are those of a connection; a request has its own.
func (at *s3Location) transport() (*http.Transport, error) {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: askLimit, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConns:        64,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     time.Minute,
		TLSHandshakeTimeout: askLimit,
		DisableCompression:  true, // a picture is what it is
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if at.authorities == "" {
		return t, nil
	}
	data, err := os.ReadFile(at.authorities)
	if err != nil {
		return nil, fmt.Errorf("pictures: certificates of the S3 server: %w", err)
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(data) {
		return nil, errors.New("pictures: no certificate (PEM) in " + at.authorities)
	}
	return t, nil
}
