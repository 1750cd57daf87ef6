package debug

import (
	"cmp"
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// gatherer joins the metrics of several instances of a role, which have the same names, by giving each the label
// `instance`.
type gatherer struct {
	process *prometheus.Registry
	roles   func() []Role
}

// Gather implements prometheus.Gatherer: families in order of their names, each name once.
func (g gatherer) Gather() ([]*dto.MetricFamily, error) {
	all, err := g.process.Gather()
	errs := []error{err}
	byName := map[string]*dto.MetricFamily{}
	roles := g.roles()
	if len(roles) > 0 {
		all = append(all, readiness(roles))
	}
	for _, role := range roles {
		if role.Registry == nil {
			continue
		}
		families, err := role.Registry.Gather()
		errs = append(errs, err)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				m.Label = append(m.Label, label("instance", role.Name))
				slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
			}
			if known := byName[f.GetName()]; known != nil {
				known.Metric = append(known.Metric, f.GetMetric()...)
				continue
			}
			byName[f.GetName()] = f
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all, errors.Join(errs...)
}

// readiness says of each role whether it is ready, as /readyz does.
func readiness(roles []Role) *dto.MetricFamily {
	name, kind := "killr_ready", dto.MetricType_GAUGE
	help := "1 while the role serves, 0 while it cannot: its /readyz says why."
	f := &dto.MetricFamily{Name: &name, Help: &help, Type: &kind}
	for _, r := range roles {
		value := 0.0
		if r.Ready() == nil {
			value = 1
		}
		f.Metric = append(f.Metric, &dto.Metric{
			Label: []*dto.LabelPair{label("instance", r.Name)}, Gauge: &dto.Gauge{Value: &value},
		})
	}
	return f
}

func label(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }
