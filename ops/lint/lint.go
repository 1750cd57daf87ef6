// Package lint is the checks that are not about behaviour, as tests, so that `go test ./...` is the one command that
// says whether a change may go in: format, vet, staticcheck, generated files, modules, package comments, and who may
// import whom.
//
// In flows the source tree; out flow failures. It holds nothing but tests, and nothing may import it.
package lint
