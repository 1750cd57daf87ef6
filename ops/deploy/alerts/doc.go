// Package alerts holds what watches a site of many machines: rules for Prometheus and a dashboard for Grafana.
//
// **Input**: the metrics of the roles' debug listeners. **Output**: alerts.yml and dashboard.json; ops/deploy/README.md
// says what each alert means. **Must not touch**: anything. Tests compare both files with what the roles export, and
// break a site in a table of series to see that each fault raises its alert in time, and no other one.
package alerts
