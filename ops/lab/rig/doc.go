// Package rig puts up servers to be measured, and takes them away again without a trace.
//
// In flow commands, and the address at which what they start must answer; out flows a [Server] with the processes that
// pay for an answer. They run on unprivileged ports of 127.0.0.1, end when this process ends, however it does, and are
// waited for.
//
// It knows how nginx is configured to run like that ([Nginx]), and nothing about what is served or measured.
package rig
