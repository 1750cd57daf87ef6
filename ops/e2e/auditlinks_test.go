package e2e

import "flickrkillr/ops/lab/mutant"

// sharing are flags that leave the audit's people the processors.
func sharing() []string { return []string{"--no-faults", "--view-rate", "20", "--rate", "10", bound} }

// linkMistakes are those of links by which whoever has one sees photos.
func linkMistakes() []mistake {
	return []mistake{
		{
			name: "a link that is revoked stays open",
			edits: func(chosen string) []mutant.Edit {
				const end = "		return d.store.EndShare(ctx, a.key, a.user, id)\n"
				return []mutant.Edit{mutant.Replace("renderer/shares.go", end, "		if "+chosen+" {\n"+
					"			return nil, nil\n		}\n"+end)}
			},
			rules: []string{"closed"},
			flags: sharing(),
		}, {
			name: "an edge keeps what links show",
			edits: func(chosen string) []mutant.Edit {
				const asks = "func (s *Server) askShare("
				const takes = "r *http.Request, x *exchange, share page.Share, ask wire.ShareRequest) " +
					"(*nats.Msg, error) {\n"
				return []mutant.Edit{
					mutant.Replace("edge/share.go", "	\"strings\"\n", "	\"strings\"\n	\"sync\"\n"),
					mutant.Replace("edge/share.go", asks+takes, "var keptShares sync.Map\n\n"+asks+takes+
						"	kept, ok := keptShares.Load(share)\n"+
						"	if ok && !ask.Exists && "+chosen+" {\n		return kept.(*nats.Msg), nil\n	}\n"+
						"	reply, err := s.askForShare(r, x, share, ask)\n"+
						"	if err == nil && !ask.Exists {\n		keptShares.Store(share, reply)\n	}\n"+
						"	return reply, err\n}\n\nfunc (s *Server) askForShare("+takes),
				}
			},
			rules: []string{"closed", "link"}, // it may keep the form that asks for a password, too
			flags: sharing(),
		}, {
			name: "a link shows its photos without its password",
			edits: func(chosen string) []mutant.Edit {
				const granted = "	return password == \"\" ||"
				return []mutant.Edit{
					mutant.Replace("renderer/sharepage.go", granted, "	return "+chosen+" || password == \"\" ||"),
				}
			},
			rules: []string{"secret"},
			flags: sharing(),
		},
	}
}

// receiptMistakes are those of receipts for photos that were deleted for good.
func receiptMistakes() []mistake {
	return []mistake{{
		name: "whoever deletes a photo for good gets no receipt",
		edits: func(chosen string) []mutant.Edit {
			const has = "	if err == nil && id != 0 {\n		out.receipt ="
			return []mutant.Edit{mutant.Replace("renderer/photodeletion.go", has,
				"	if err == nil && id != 0 && !"+chosen+" {\n		out.receipt =")}
		},
		rules: []string{"lost"},
		flags: sharing(),
	}}
}
