package secret

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/plimsoll/plimsoll/internal/redact"
)

// knownFile is a file in which programs keep credentials, by the name that they give it.
// What the last group of the pattern matches is one; a first of two is the name of what
// it is given to, which has to sound like a secret.
type knownFile struct {
	id, what      string
	path, pattern func() *regexp.Regexp
}

// knownFiles are as the documentation of each program has them.
var knownFiles = []knownFile{
	{"netrc-password", "a password of .netrc", lazily(`/[._]netrc$|^/etc/apt/auth\.conf(?:\.d/.*)?$`), lazily(`\bpassword\s+("[^"\n]+"|\S+)`)},
	{"npmrc-token", "a credential for an npm registry", lazily(`/\.?npmrc$`), lazily(`(?m)^\s*(?:[^#;\s=]*:)?_(?:authToken|auth|password)\s*=\s*"?([^"\s]+)`)},
	{"pypirc-password", "a password for a Python registry", lazily(`/\.pypirc$`), lazily(`(?m)^\s*password\s*[:=]\s*(\S+)`)},
	{"url-password", "a password in a URL", lazily(`/\.git-credentials$|/git/credentials$|/\.git/config$|/\.gitconfig$|/pip\.conf$|/\.condarc$|/\.yarnrc(?:\.yml)?$|^/etc/apt/sources\.list(?:\.d/.*)?$`), lazily(`://[^\s/@:'"]*:([^\s/@'"]+)@`)},
	{"docker-auth", "a credential for a registry", lazily(`/\.docker/config\.json$|/\.dockercfg$|/\.dockerconfigjson$|/containers/auth\.json$`), lazily(`"(?:auth|identitytoken|registrytoken|password)"\s*:\s*"([^"\s]+)"`)},
	{"aws-credentials", "an AWS secret key", lazily(`/\.aws/(?:credentials|config)$|/\.s3cfg$|/\.boto$`), lazily(`(?mi)^\s*(?:aws_secret_access_key|aws_session_token|secret_key)\s*=\s*(\S+)`)},
	{"gcloud-credentials", "a token of Google Cloud", lazily(`/(?:application_default_credentials|adc)\.json$`), lazily(`"refresh_token"\s*:\s*"([^"\s]+)"`)},
	{"kubeconfig-credential", "a credential for Kubernetes", lazily(`/\.kube/config$|kubeconfig(?:\.ya?ml)?$|^/etc/kubernetes/[\w-]+\.conf$|^/etc/rancher/\w+/\w+\.yaml$`), lazily(`(?m)^\s*(?:- )?(?:client-key-data|token|password)\s*:\s*["']?([^"'\s]+)`)},
	{"pgpass-password", "a password for PostgreSQL", lazily(`/\.pgpass$`), lazily(`(?m)^[^#\n:]+:[^:\n]*:[^:\n]*:[^:\n]*:(\S+)`)},
	{"mysql-password", "a password for MySQL", lazily(`/\.?(?:my|client)\.cnf$`), lazily(`(?m)^\s*password\s*=\s*["']?([^"'\s#]+)`)},
	{"cargo-token", "a token for a Rust registry", lazily(`/\.cargo/credentials(?:\.toml)?$`), lazily(`(?m)^\s*token\s*=\s*"([^"\s]+)"`)},
	{"env-file", "a secret in a file of variables", lazily(`/\.env(?:\.[\w-]+)?$`), lazily(`(?m)^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*(?:"([^"\n]+)"|'([^'\n]+)'|([^\s'"#][^\s#]*))`)},
}

// known is the file that a path has the name of; nil for none.
func known(path string) *knownFile {
	// Most have no such name; this is cheaper than the patterns.
	base := path[strings.LastIndexByte(path, '/')+1:]
	if !slices.ContainsFunc(inNames, func(part string) bool { return strings.Contains(base, part) }) {
		return nil
	}
	for i := range knownFiles {
		if knownFiles[i].path().MatchString(path) {
			return &knownFiles[i]
		}
	}
	return nil
}

// inNames are parts of the names of all known files.
var inNames = []string{"rc", "auth", "credentials", "config", ".conf", "sources.list", ".list", ".sources", "docker", "s3cfg", ".boto", ".json", ".yaml", ".yml", "pgpass", ".cnf", ".env"}

// find gives the credentials in the file to s.
func (k *knownFile) find(s *scan) {
	for _, at := range k.pattern().FindAllSubmatchIndex(s.text, s.most+1) {
		from, to := at[2], at[3]
		if k.id == "env-file" {
			name := string(s.text[from:to])
			for i := 4; i < len(at); i += 2 {
				if at[i] >= 0 {
					from, to = at[i], at[i+1]
				}
			}
			if !soundsSecret(name, string(s.text[from:to])) {
				continue
			}
		}
		if isPlaceholder(string(s.text[from:to])) {
			continue
		}
		s.add(hit{id: k.id, from: from, to: to})
	}
}

// maxSounds is how much of a name and a value is looked at, in bytes.
const maxSounds = 1 << 10

// soundsSecret is true where a variable of this name that has this value holds a secret.
func soundsSecret(name, value string) bool {
	name, value = name[:min(len(name), maxSounds)], value[:min(len(value), maxSounds)]
	if noSecret().MatchString(name) || isPlaceholder(value) {
		return false
	}
	_, names, _ := redact.Text(name + "='" + strings.ReplaceAll(value, "'", "") + "'")
	return len(names) > 0
}

var (
	// noSecret are names of what is public, or says something about a secret.
	noSecret = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(?:public|fingerprint|gpg_?keys?|sha(?:1|256|512)|checksum|digest|version|_(?:file|path|dir|url|uri|endpoint|name|id|ttl|type|policy|enabled|header)s?)$|^(?:old)?pwd$`)
	})
	// placeholder is what stands for a value that is elsewhere, or is to be put there.
	placeholder = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)^(?:\$[\w{(].*|%[\w.]+%|%[sdvq]|@\w+@|\{.*\}|<.*>|\[.*\]|\(.*\)|[*x.#_-]+|/[\w./-]+|(?:file|env|vault|op):.*|process\.env.*|os\.(?:environ|getenv).*|` +
			`true|false|yes|no|on|off|none|null|nil|undefined|empty|optional|required|[0-9]{1,4})$|` +
			`change[_-]?(?:me|it|this)|placeholder|example|dummy|your[_-]|insert[_-]|replace[_-]?(?:me|this|with)|redacted|xxxx|\*\*\*|to[_-]?be[_-]`)
	})
)

// isPlaceholder is true for a value that is no secret itself.
func isPlaceholder(value string) bool {
	value = strings.Trim(value, "\"'` \t")
	return value == "" || placeholder().MatchString(value)
}
