// Package deploy brings a site of many machines to what its site.toml says, from one machine, by the program ssh.
//
// **Input**: site.toml, a release, which is a binary, the units of this program, and what each host says it has.
// **Output**: hosts that run that release with that configuration, and a line for each step.
// **Must not touch**: roles; it asks them by `killr bus instances` on a host. It keeps nothing on the machine it runs
// on: what was deployed is read from the hosts each time.
//
//	site.go       site.toml, checked; lines.go finds the line of a mistake, scale.go changes a count in it
//	config.go     the files of one host: environment, seeds, units
//	services.go   services on hosts; database.go: etcd and PostgreSQL; secret.go: their passwords and certificates
//	state.go      what a host has, as facts.sh prints it
//	plan.go       site, states and release to steps; steps.go says what each step does on its host
//	run.go        does the steps, and takes a release back that is worse
//	judge.go      compares a new instance with old ones over the same seconds
//	verbs.go      deploy, rollback, add, drain, scale; status.go: status
//	target.go     what hosts are to have after each of them; release.go reads the binary
//	ssh.go        one connection to each host; lock.go keeps others from deploying
//
// On a host /opt/killr has: releases/<sha>/killr, the binary by its content; configs/<hash>/, the files of a
// configuration as they are below /; current, a link to a release; history, a line for each pair of release and
// configuration that was switched to, the last one in force; drained, a file that is there while the host is to run
// nothing. An instance says by itself what it runs: /proc/PID/exe is its release, KILLR_CONFIG its configuration.
package deploy
