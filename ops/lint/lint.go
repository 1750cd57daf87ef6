// Package lint has the checks that are not about behaviour, as tests, so that `go test ./...` alone decides whether a
// change may go in: format, line length, vet, staticcheck, generated files, modules, known vulnerabilities, package
// comments, groups of imports, import rules.
//
// **Input**: the source tree. **Output**: failed tests. **Must not touch**: anything. It holds tests only, and no
// package may import it.
package lint
