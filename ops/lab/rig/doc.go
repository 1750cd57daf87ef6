// Package rig starts servers to be measured, and stops them without leaving anything behind.
//
// **Input**: commands, and the address at which they must answer. **Output**: a [Server] with its processes. They
// listen on unprivileged ports of 127.0.0.1, end when this process ends, however that happens, and are waited for.
// **Must not touch**: what is served or measured. It knows how to configure nginx for this ([Nginx]).
package rig
