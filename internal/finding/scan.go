package finding

import "strings"

// The rules of what a scan of an image finds, beside the ids of advisories: they are in no
// rule file.
const (
	// FlawsNotEvaluated is of what could not be told for lack of data.
	FlawsNotEvaluated = "flaws-not-evaluated"
	// SecretsNotEvaluated is of what was not looked at for secrets as a whole.
	SecretsNotEvaluated = "secrets-not-evaluated"
	// SecretPrefix begins the rules of secrets.
	SecretPrefix = "secret:"
)

// OfScan says whether a rule is one of what a scan of an image finds: the id of an advisory,
// as CVE-…, GHSA-… and DSA-…, a secret's, or one of the above. Rules of rule files begin
// otherwise.
func OfScan(rule string) bool {
	return rule == FlawsNotEvaluated || rule == SecretsNotEvaluated || strings.HasPrefix(rule, SecretPrefix) || rule != "" && rule[0] >= 'A' && rule[0] <= 'Z'
}
