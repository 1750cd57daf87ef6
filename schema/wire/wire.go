package wire

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/page"
)

// Queue groups. NATS gives each request or note to one member; joining is all the configuration there is.
const (
	QueueRenderer  = "renderer"
	QueueCachefill = "cachefill"
)

// Names of the roles as services of NATS micro, which `nats micro ls` shows.
const (
	ServiceEdge      = "edge"
	ServiceRenderer  = "renderer"
	ServiceCachefill = "cachefill"
)

// SubjectStats asks every role for its statistics, by the micro protocol. Each role may do so, for the page /pool.
const SubjectStats = "$SRV.STATS"

// SubjectRendererStats asks every renderer for its statistics, by the micro protocol: `nats micro stats renderer`.
const SubjectRendererStats = "$SRV.STATS." + ServiceRenderer

// Subjects that are not a page's, see [page.Ref.Subject] for those.
const (
	SubjectAssets    = "asset.index"      // request: the names of a renderer's assets, one a line
	SubjectFills     = prefixFill + ">"   // what every cachefill listens to
	SubjectCancels   = prefixCancel + ">" // what every renderer listens to, see CancelSubject
	SubjectChanged   = "changed.>"        // what the stream CHANGES holds
	SubjectBatch     = "changed.batch"    // scopes with their new versions, see EncodeChanges
	SubjectHeartbeat = "changed.tick"     // once a second from the relay, see Heartbeat
	// What edges hear at once, in no stream: like SubjectBatch, what an action has just changed, before the relay
	// publishes it; then what the relay sends to the stream as well.
	SubjectEarlyInvalidation = "hint.changed"
	SubjectLiveBatch         = "hint.batch"
	SubjectLiveHeartbeat     = "hint.heartbeat"
	SubjectLive              = "hint.*" // all three
	StreamChanges            = "CHANGES"
	// MetadataSite is the key in the metadata of StreamChanges whose value is the id of the site that its changes come
	// from, see table site of schema/migrations.
	MetadataSite = "site"
)

// Buckets lists the JetStream KV buckets that the relay looks after. It may not read those of edges alone, such as
// BucketTickets and BucketACME.
func Buckets() []string { return []string{BucketKeys, BucketPopular, BucketSessions, BucketLimits} }

// CancelSubject is the subject an edge publishes to, without data, when nobody waits any more for the answer to the
// request with this id.
func CancelSubject(id string) string { return prefixCancel + id }

// ParseCancel is the inverse of [CancelSubject]; false for another subject.
func ParseCancel(subject string) (id string, ok bool) {
	return strings.CutPrefix(subject, prefixCancel)
}

// Prefixes of subjects that carry a name.
const (
	prefixAction = "action."
	prefixCancel = "cancel."
	prefixFill   = "fill."
)

// Headers of messages on the bus. NATS header names are case-sensitive: take them from here.
const (
	HeaderDeadline = "Killr-Deadline" // request: when its answer is worthless, see FormatTime
	// request: the coding that the body may have, EncodingGzip; without it a body of a page is plain. Of an action:
	// AcceptPage
	HeaderAccept  = "Killr-Accept"
	HeaderRequest = "Killr-Request" // request: the id that the visitor, the logs and the reply share
	HeaderTiming  = "Killr-Timing"  // reply: where the time went, see Timing
	HeaderWorker  = "Killr-Worker"  // reply: which renderer answered
	HeaderCode    = "Killr-Code"    // reply: set when there is no envelope, see Code
	// request, fill: the answer, or the copy in memcached, should be read at this time or later, see FormatTime
	HeaderReadAt = "Killr-Read-At"
	// request, fill: it should show these versions or later ones, see FormatDeps
	HeaderWants = "Killr-Wants"
	// reply: what the page was read from, SourcePrimary or SourceReplica; none: the renderer reads no replica
	HeaderSource = "Killr-Source"
	// fill: microseconds since it was due, as a rule since the sender heard of the change that it is about
	HeaderWaited = "Killr-Waited"
	HeaderKey    = "Killr-Key" // action: names this attempt and its repetitions, see ValidKey
	// batch: when the oldest of its changes was written, shortly before its commit, see FormatTime
	HeaderSince = "Killr-Since"
	// batch: its name, and that of the batch before it, see Link
	HeaderBatch  = "Killr-Batch"
	HeaderAfter  = "Killr-After"
	HeaderDetail = "Killr-Detail" // reply: what was wrong with the request, in words for a person, see InputError
)

// Values of HeaderSource. What was read from a replica may be older than what its requester knows.
const (
	SourcePrimary = "primary"
	SourceReplica = "replica"
)

// Deadlines of requests, from the edge's start. After them the answer is useless.
const (
	PageDeadline  = 5 * time.Second
	ImageDeadline = 10 * time.Second
)

// Deadline is how long after its start a request for r still needs its answer.
func Deadline(r page.Ref) time.Duration {
	if r.Kind() == page.KindImage {
		return ImageDeadline
	}
	return PageDeadline
}

// Ages of copies. A page's own age travels in its envelope; these are the values that renderers give and bounds that
// edges keep.
const (
	PageAge    = 10 * time.Minute // a user's own pages
	ListingAge = 5 * time.Second  // pages that depend on everybody: home, tag, search
	// what programs look for at a fixed place, such as the manifest, which names assets of this version
	FileAge    = time.Hour
	FixedAge   = 365 * 24 * time.Hour
	StaleAge   = 10 * time.Minute // past its age, a copy may be shown when nothing else can be
	ChangesAge = 2 * PageAge      // how long changes are remembered, in the stream and at edges
)

// ChangesConfig is the configuration of the stream of changes. Its content could be replaced by
// rendering all pages again; it is on disk because losing the stream in a crash would cost every edge its cache.
func ChangesConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        StreamChanges,
		Description: "which scopes changed, and to what version; see schema/wire",
		Subjects:    []string{SubjectChanged},
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxAge:      ChangesAge,
		MaxBytes:    256 << 20,
		Storage:     jetstream.FileStorage,
		AllowDirect: true,
	}
}

// FormatTime writes a time as microseconds since 1970, the form of all times on the bus.
func FormatTime(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// ParseTime is the inverse of [FormatTime]; false if s is no time.
func ParseTime(s string) (time.Time, bool) {
	us, err := strconv.ParseInt(s, 10, 64)
	if err != nil || us <= 0 {
		return time.Time{}, false
	}
	return time.UnixMicro(us), true
}

// micros is a duration of so many microseconds; false if it is negative or too long for the type.
func micros(us int64) (time.Duration, bool) {
	return time.Duration(us) * time.Microsecond, us >= 0 && us <= math.MaxInt64/int64(time.Microsecond)
}

// Timing says how long a renderer queued, read and rendered, for HeaderTiming and the visitor's Server-Timing.
type Timing struct {
	Queue, SQL, Render time.Duration
}

// String is the header's form, in microseconds: "queue=12 sql=340 render=80".
func (t Timing) String() string {
	b := make([]byte, 0, 48)
	b = strconv.AppendInt(append(b, "queue="...), t.Queue.Microseconds(), 10)
	b = strconv.AppendInt(append(b, " sql="...), t.SQL.Microseconds(), 10)
	b = strconv.AppendInt(append(b, " render="...), t.Render.Microseconds(), 10)
	return string(b)
}

// ParseTiming is the inverse of [Timing.String]; fields it cannot read stay 0.
func ParseTiming(s string) (t Timing) {
	for field := range strings.FieldsSeq(s) {
		name, digits, _ := strings.Cut(field, "=")
		us, err := strconv.ParseInt(digits, 10, 64)
		d, ok := micros(us)
		if err != nil || !ok {
			continue
		}
		switch name {
		case "queue":
			t.Queue = d
		case "sql":
			t.SQL = d
		case "render":
			t.Render = d
		}
	}
	return t
}
