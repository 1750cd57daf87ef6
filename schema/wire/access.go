package wire

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go/micro"

	"flickrkillr/schema/page"
)

// Role is what a program or person signs in to the bus as, by a key of its own. [AccessTable] says what each may do.
type Role string

// The roles of a site, and those of people and programs beside it.
const (
	RoleEdge      Role = ServiceEdge
	RoleRenderer  Role = ServiceRenderer
	RoleCachefill Role = ServiceCachefill
	RoleOperator  Role = "operator" // a person with the NATS command line, and `killr warm`
	RoleAudit     Role = "audit"    // `killr audit` and `killr chaos`
)

var roles = [...]Role{RoleEdge, RoleRenderer, RoleCachefill, RoleOperator, RoleAudit}

// Access is what one role may do on the bus. Subjects may have wildcards. What is not named is refused.
type Access struct {
	Role      Role
	Publish   []string
	Subscribe []Listen
	// It may answer each request that reaches it, for this long; 0: it may not.
	Answers time.Duration
}

// Listen is a subject that a role may subscribe to.
type Listen struct {
	Subject string
	Queue   string // only in this queue group; "": outside of any, and in every one
}

// rolePrefix begins the inbox prefix of every role but the operator.
const rolePrefix = "_INBOX_"

// InboxPrefix begins the inboxes of a role, to which the answers to its requests go. A role may not subscribe to the
// inboxes of another. The operator has the prefix that NATS clients use by themselves.
func InboxPrefix(role Role) string {
	if role == RoleOperator {
		return "_INBOX"
	}
	return rolePrefix + string(role)
}

// How long roles may take to answer. NATS remembers every message with a reply subject for that long, unless the role
// may publish to that subject anyway: for edges these are the messages of the stream.
const (
	answerTime      = 2 * ActionDeadline // more than the longest deadline
	discoveryAnswer = 5 * time.Second    // of an edge, which answers nothing else but questions about what is gone
)

// AccessTable is the one list of what each role may do on the bus. The server of `killr up` and of all tests, and the
// configuration that `killr bus config` prints, are made from it.
//
// JetStream's requests name their stream in the subject, so a role reaches only the streams that it uses. What such a
// request asks for is in its data, which NATS compares with nothing: a role that may create a consumer chooses where
// JetStream sends the messages of that stream.
//
// JetStream answers to any reply subject, with its own rights. DIRECT.GET and CONSUMER.MSG.NEXT answer with a stored
// message, or with an empty one if there is none. So a role that may send these requests can copy a session to a
// token of its own, and delete a stream, by the reply subject alone: people and cachefills may not. All other answers
// are JSON, which no stream takes for more than an unreadable message.
func AccessTable() []Access {
	pages := []string{page.SubjectPrefix + ">", "asset.>", "picture.>"}
	edge := Access{
		Role: RoleEdge,
		Publish: slices.Concat(pages, []string{
			"private.>", ActionSubject("photo.>"), ActionSubject("account.>"), ActionSubject("profile.>"),
			ActionSubject("own.>"), ActionSubject("share.>"), SubjectSharePage, SubjectSharePicture,
			SubjectFills, SubjectCancels, micro.APIPrefix + ".PING." + ServiceRenderer, SubjectStats,
		},
			UploadRequests(), OriginalRequests(), TakeoutRequests(),
			followStream(StreamChanges), []string{jetStream("CONSUMER.MSG.NEXT." + StreamChanges + ".*")},
			makeBucket(BucketKeys), readBucket(BucketKeys), writeBucket(BucketKeys),
			makeBucket(BucketPopular), readBucket(BucketPopular), writeBucket(BucketPopular),
			makeBucket(BucketSessions), readBucket(BucketSessions), writeBucket(BucketSessions),
			makeBucket(BucketLimits), readBucket(BucketLimits), writeBucket(BucketLimits),
			watchBucket(BucketSessions), watchBucket(BucketLimits),
			makeBucket(BucketACME), readBucket(BucketACME), writeBucket(BucketACME),
			makeBucket(BucketTickets), readBucket(BucketTickets), writeBucket(BucketTickets),
			[]string{jetStream("STREAM.MSG.GET." + BucketStream(BucketSessions))}, // if it has replicas
		),
		Subscribe: slices.Concat(plain(SubjectLive, SubjectGone, SubjectUploadEvents),
			discovered(RoleEdge)),
		Answers: discoveryAnswer,
	}
	renderer := Access{
		Role: RoleRenderer,
		Publish: slices.Concat([]string{
			SubjectChanged, SubjectEarlyInvalidation, SubjectLiveBatch, SubjectLiveHeartbeat, SubjectGone,
			SubjectUploadEvents, SubjectStats,
			// The right to answer ends with the connection. These answers are to be sent after NATS has restarted too.
			InboxPrefix(RoleEdge) + ".>", InboxPrefix(RoleCachefill) + ".>", InboxPrefix(RoleAudit) + ".>",
			jetStream("STREAM.UPDATE." + StreamChanges), // the relay writes its site into the metadata
		}, remakeStream(StreamChanges)),
		Subscribe: slices.Concat(
			queued(QueueRenderer, slices.Concat(pages,
				[]string{"private.>", SubjectSharePage, SubjectSharePicture, ActionSubject(">")}, UploadRequests(),
				OriginalRequests(), TakeoutRequests())...),
			plain(SubjectLiveHeartbeat, SubjectCancels), discovered(RoleRenderer),
		),
		Answers: answerTime,
	}
	for _, bucket := range Buckets() { // the relay makes anew those that take no values, and sets their replicas
		renderer.Publish = slices.Concat(renderer.Publish, remakeStream(BucketStream(bucket)), readBucket(bucket),
			watchBucket(bucket), writeBucket(bucket), []string{jetStream("STREAM.UPDATE." + BucketStream(bucket))})
	}
	for _, bucket := range []string{BucketACME, BucketTickets} { // of these it sets the replicas alone
		stream := BucketStream(bucket)
		renderer.Publish = append(renderer.Publish, jetStream("STREAM.INFO."+stream),
			jetStream("STREAM.UPDATE."+stream))
	}
	cachefill := Access{
		Role: RoleCachefill,
		Publish: slices.Concat(pages, []string{SubjectFills, SubjectRendererStats, SubjectStats},
			watchBucket(BucketPopular)),
		Subscribe: slices.Concat(queued(QueueCachefill, SubjectFills), discovered(RoleCachefill)),
		Answers:   answerTime,
	}
	operator := Access{
		Role: RoleOperator,
		Publish: slices.Concat(pages, []string{
			ActionSubject("photo.>"), SubjectFills, micro.APIPrefix + ".>",
			jetStream("INFO"), jetStream("STREAM.LIST"), jetStream("STREAM.NAMES"),
			jetStream("STREAM.INFO." + StreamChanges),
			jetStream("CONSUMER.LIST." + StreamChanges), jetStream("CONSUMER.NAMES." + StreamChanges),
			jetStream("CONSUMER.INFO." + StreamChanges + ".*"),
		}, watchBucket(BucketPopular), watchBucket(BucketSessions)),
		// Neither what people do with their accounts nor pages that are for them alone. Sessions show no secret.
		Subscribe: plain(slices.Concat(pages, []string{
			ActionSubject("photo.>"), SubjectFills, SubjectCancels, SubjectChanged, SubjectLive,
			"$KV." + BucketSessions + ".>",
		})...),
	}
	audit := Access{
		Role: RoleAudit,
		Publish: slices.Concat(
			[]string{ActionSubject("photo.>"), micro.APIPrefix + ".PING." + ServiceRenderer}, readBucket(BucketKeys),
		),
		Subscribe: plain(AuditedSubjects()...),
	}
	all := []Access{edge, renderer, cachefill, operator, audit}
	for i := range all {
		a := &all[i]
		slices.Sort(a.Publish)
		a.Publish = slices.Compact(a.Publish)
		a.Subscribe = append(a.Subscribe, Listen{Subject: InboxPrefix(a.Role) + ".>"})
	}
	return all
}

// AuditedSubjects are those whose messages `killr audit` searches for what only one person may see: requests for pages,
// fill notes, changes, and popularity lists.
func AuditedSubjects() []string {
	return []string{
		page.SubjectPrefix + ">", SubjectFills, SubjectChanged, SubjectLive, "$KV." + BucketPopular + ".>",
	}
}

// plain are subscriptions outside of queue groups.
func plain(subjects ...string) []Listen { return queued("", subjects...) }

// queued are subscriptions in one queue group.
func queued(queue string, subjects ...string) (all []Listen) {
	for _, subject := range subjects {
		all = append(all, Listen{subject, queue})
	}
	return all
}

// discovered are the subjects on which NATS micro asks for a role.
func discovered(role Role) (all []Listen) {
	for _, verb := range []micro.Verb{micro.PingVerb, micro.InfoVerb, micro.StatsVerb} {
		subject := micro.APIPrefix + "." + verb.String()
		all = append(all, plain(subject, subject+"."+string(role), subject+"."+string(role)+".*")...)
	}
	return all
}

// jetStream is the subject of a request for JetStream.
func jetStream(request string) string { return "$JS.API." + request }

// BucketStream returns the name of the stream that holds a JetStream KV bucket.
func BucketStream(bucket string) string { return "KV_" + bucket }

// makeBucket lets a role create a bucket that does not exist. Clients ask what the account allows first.
func makeBucket(bucket string) []string {
	return []string{jetStream("INFO"), jetStream("STREAM.CREATE." + BucketStream(bucket))}
}

// remakeStream lets a role create a stream, and delete it with everything in it.
func remakeStream(stream string) []string {
	return []string{
		jetStream("STREAM.CREATE." + stream), jetStream("STREAM.INFO." + stream), jetStream("STREAM.DELETE." + stream),
	}
}

// followStream lets a role read a stream through consumers of its own, to which JetStream pushes messages.
func followStream(stream string) []string {
	return []string{
		jetStream("STREAM.INFO." + stream),
		jetStream("CONSUMER.CREATE." + stream + ".>"),
		jetStream("CONSUMER.INFO." + stream + ".*"),
		jetStream("CONSUMER.DELETE." + stream + ".*"),
		"$JS.FC." + stream + ".>", // flow control
	}
}

// readBucket lets a role get values by their keys.
func readBucket(bucket string) []string {
	stream := BucketStream(bucket)
	return []string{jetStream("STREAM.INFO." + stream), jetStream("DIRECT.GET." + stream + ".>")}
}

// watchBucket lets a role list values and hear of new ones.
func watchBucket(bucket string) []string { return followStream(BucketStream(bucket)) }

// writeBucket lets a role put, change and remove values.
func writeBucket(bucket string) []string { return []string{"$KV." + bucket + ".>"} }
