package inventory

import "database/sql"

// factsRow is a row of deployments, in the order of its columns.
type factsRow struct {
	dep                                           int64
	container, name, image, digest, who, via      string
	deployed                                      sql.NullInt64
	begin                                         int64
	removed                                       sql.NullInt64
	foundLater                                    bool
	replaces                                      string
	privileged                                    bool
	owner, why, intent, retire, declared          string
	project, service, source, revision, versionOf string
	commit, repository, run                       string
}

// fields are where a row is scanned into.
func (r *factsRow) fields() []any {
	return []any{&r.dep, &r.container, &r.name, &r.image, &r.digest, &r.who, &r.via, &r.deployed, &r.begin, &r.removed, &r.foundLater, &r.replaces, &r.privileged,
		&r.owner, &r.why, &r.intent, &r.retire, &r.declared, &r.project, &r.service, &r.source, &r.revision, &r.versionOf, &r.commit, &r.repository, &r.run}
}

func (r *factsRow) values() []any {
	return []any{r.dep, r.container, r.name, r.image, r.digest, r.who, r.via, r.deployed, r.begin, r.removed, r.foundLater, r.replaces, r.privileged,
		r.owner, r.why, r.intent, r.retire, r.declared, r.project, r.service, r.source, r.revision, r.versionOf, r.commit, r.repository, r.run}
}

// texts are those that a later deploy event may add to.
func (r *factsRow) texts() []*string {
	return []*string{&r.name, &r.image, &r.digest, &r.who, &r.via, &r.replaces, &r.owner, &r.why, &r.intent, &r.retire, &r.declared,
		&r.project, &r.service, &r.source, &r.revision, &r.versionOf, &r.commit, &r.repository, &r.run}
}

// firstState and firstTrait are what is known of a deployment before any event says more.
func (r *factsRow) firstState() stateRow {
	return stateRow{dep: r.dep, at: r.begin, state: Unseen, since: r.begin}
}

func (r *factsRow) firstTrait() traitRow { return traitRow{dep: r.dep, at: r.begin, name: r.name} }

// stateRow is a row of states.
type stateRow struct {
	dep, at, seq int64
	state        string
	since        int64
	exitCode     sql.NullInt64
	oom          bool
	health       string
	healthyMS    sql.NullInt64
	restarts     int64
}

func (r *stateRow) fields() []any {
	return []any{&r.dep, &r.at, &r.seq, &r.state, &r.since, &r.exitCode, &r.oom, &r.health, &r.healthyMS, &r.restarts}
}

func (r *stateRow) values() []any {
	return []any{r.dep, r.at, r.seq, r.state, r.since, r.exitCode, r.oom, r.health, r.healthyMS, r.restarts}
}

// traitRow is a row of traits.
type traitRow struct {
	dep, at, seq    int64
	name, limits    string
	judged          sql.NullInt64
	worst           string
	failing, waived int64
}

func (r *traitRow) fields() []any {
	return []any{&r.dep, &r.at, &r.seq, &r.name, &r.limits, &r.judged, &r.worst, &r.failing, &r.waived}
}

func (r *traitRow) values() []any {
	return []any{r.dep, r.at, r.seq, r.name, r.limits, r.judged, r.worst, r.failing, r.waived}
}

// scanColumns is the number of columns of scans: digest, at, seq, findings, worst.
const scanColumns = 5
