// Package words turns text into what a search compares: terms, and lexemes made of them.
//
// **Input**: what people wrote (titles, tags, names, queries), in any script. **Output**: terms ([Each]), and for a
// photo or a person the lexemes of its row in the search index ([Builder.Photo], [Builder.Person]). **Must not touch**:
// the network, the database, the clock. The indexer and the query parser both use it, so that the two cannot disagree.
//
// A term is folded (lower case, without accents), and stemmed if it is English: "Sunsets" and "sunset" are one term.
// Scripts that are written without spaces give a term for each pair of neighbouring characters.
package words
