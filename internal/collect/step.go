package collect

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/redact"
)

const (
	// maxSteps bounds the history of one image; engines stack at most some 125 layers.
	maxSteps = 1024
	// maxStepBytes bounds the text of a step.
	maxStepBytes = 16 << 10
	// maxCommentBytes bounds a comment, which is mostly the name of a builder.
	maxCommentBytes = 256
)

// instructions are those that leave a step in a history.
var instructions = []string{"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN",
	"SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}

// shell is a shell as SHELL can set it, with what makes it take a command.
const shell = `(?:(?:/\S*/)?(?:env\s+(?:-\S+\s+|\w+=\S*\s+)*(?:/\S*/)?)?(?:busybox\s+)?(?:ba|da|a|z|k|mk|fi|c|tc)?sh(?:\s+-\w*[oO]\s+\w+|\s+[-+]\w+|\s+--[\w-]+)*?\s+-\w*c\s+` +
	`|(?i:(?:\S*[/\\])?(?:powershell|pwsh)(?:\.exe)?(?:\s+-\w+(?:\s+[^-\s]\S*)?)*?\s+-c(?:ommand)?\s+|(?:\S*[/\\])?cmd(?:\.exe)?\s+/s\s+/c\s+))`

// The forms of a step: what the classic builder writes for all but RUN, a shell as
// SHELL can set it, and a name that gets a value.
var (
	noOperation = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:\S+\s+){1,12}?#\(nop\)\s+`) })
	shellBefore = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + shell) })
	shellWithin = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\s` + strings.Replace(shell, `(?:/\S*/)?`, `/\S*/`, 1))
	})
	bareWithin   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\s` + shell) })
	buildArgs    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\|[0-9]+\s`) })
	variableName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`) })
)

// parseStep reads how a step was made, as engines write it: "/bin/sh -c #(nop)
// ENV A=b" and "/bin/sh -c make" by the classic builder (moby's builder/dockerfile),
// "ENV A=b" and "RUN /bin/sh -c make # buildkit" by BuildKit (its
// frontend/dockerfile/dockerfile2llb), each with build arguments as "|1 A=b "
// before the shell. Values are left out, and endless is true where the end of
// build arguments cannot be told, so that nothing is left of the command.
func parseStep(createdBy string) (s facts.ImageStep, endless bool) {
	text, kit := strings.CutSuffix(strings.TrimSpace(createdBy), "# buildkit")
	text = strings.TrimSpace(text)
	before := notRun(text) // what is shown before the command
	s.Instruction, s.Command = instructionOf(text[len(before):])
	if s.Instruction != "" {
		before += s.Instruction + " "
	} else if shellBefore().MatchString(text) || buildArgs().MatchString(text) {
		s.Instruction = "RUN"
	}
	switch s.Instruction {
	case "ENV", "ARG":
		s.Command, s.Variables = withoutValues(s.Command, s.Instruction == "ENV")
	case "ONBUILD":
		if word, rest := instructionOf(s.Command); word == "ENV" || word == "ARG" {
			s.Command, s.Variables = withoutValues(rest, word == "ENV")
			s.Command = word + " " + s.Command
		}
	case "LABEL":
		s.Command = labelsWithoutSecrets(s.Command)
	case "RUN":
		var args string
		args, s.Command, s.Variables, endless = splitBuildArgs(s.Command)
		shell := shellBefore().FindString(s.Command)
		before, s.Command = before+args+shell, s.Command[len(shell):]
	}
	var names []string
	s.Command, names, s.Secrets = redact.Text(s.Command)
	s.Variables = unique(append(s.Variables, names...))
	s.Secrets = unique(s.Secrets)
	s.CreatedBy = strings.TrimSpace(before + s.Command)
	if kit {
		s.CreatedBy += " # buildkit"
	}
	return s, endless
}

// notRun is what the classic builder writes before an instruction that is no RUN,
// whatever the shell is: its words, and #(nop). What a RUN does is behind a shell.
func notRun(text string) string {
	before := noOperation().FindString(text)
	word, _ := instructionOf(text)
	own := shellBefore().FindString(text)
	if before == "" || word != "" || own != "" && strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(before), "#(nop)")) != strings.TrimSpace(own) {
		return ""
	}
	return before
}

// labelsWithoutSecrets strikes out the values of labels that sound like secrets. No
// quotes mark them in a history: each goes to where the next begins.
func labelsWithoutSecrets(text string) string {
	starts := labelName().FindAllStringSubmatchIndex(text, -1)
	var out strings.Builder
	last := 0
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		name, value := text[at[2]:at[3]], text[at[1]:end]
		shown := redact.Labels(map[string]string{name: value})[name]
		out.WriteString(text[last:at[1]])
		out.WriteString(shown)
		last = end
	}
	return out.String() + text[last:]
}

var labelName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?:^|\s)"?([A-Za-z0-9_./-]+)"?=`) })

// instructionOf splits a text that begins with an instruction.
func instructionOf(text string) (word, rest string) {
	word, rest, _ = strings.Cut(text, " ")
	if !slices.Contains(instructions, word) {
		return "", text
	}
	return word, strings.TrimSpace(rest)
}

// withoutValues strikes out the values of "A=b C=d", and gives the names of those
// that have one. A value may have spaces in it, which nothing marks: what is no
// assignment is left out. "A b" is the old form of ENV for one variable.
func withoutValues(text string, old bool) (out string, names []string) {
	var words []string
	fields := strings.Fields(text)
	if first := append(fields, "")[0]; old && len(fields) > 1 && !strings.Contains(first, "=") && variableName().MatchString(first) {
		return first + " " + redact.StruckOut, []string{first}
	}
	for i, word := range fields {
		name, value, assigned := strings.Cut(word, "=")
		switch {
		case !variableName().MatchString(name) || !assigned && i > 0:
		case !assigned:
			words = append(words, name)
		case strings.Trim(value, `"'`) == "":
			words = append(words, name+"="+value)
		default:
			words, names = append(words, name+"="+redact.StruckOut), append(names, name)
		}
	}
	return strings.Join(words, " "), names
}

// splitBuildArgs splits "|2 A=b C=d /bin/sh -c make" before the shell. Without a
// shell nobody can tell where the values end.
func splitBuildArgs(text string) (args, rest string, names []string, endless bool) {
	count := buildArgs().FindString(text)
	if count == "" {
		return "", text, nil, false
	}
	values := text[len(count)-1:]
	at := shellWithin().FindStringIndex(values)
	if at == nil {
		at = bareWithin().FindStringIndex(values)
	}
	if at != nil {
		values, rest = values[:at[0]], values[at[0]+1:]
	} else {
		rest, endless = redact.StruckOut, true
	}
	shown, names := withoutValues(values, false)
	return strings.TrimSpace(count+shown) + " ", rest, names, endless
}

// unique sorts a list, without what is there twice; it is never nil.
func unique(list []string) []string {
	if len(list) == 0 {
		return []string{}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// valued are options of package managers that have a value behind them.
var valued = []string{"-t", "--target-release", "-o", "-c", "--config-file", "--virtual", "--repository", "-X", "-r", "--requirement", "-i", "--index-url",
	"--extra-index-url", "--prefix", "--root", "-p", "--enablerepo", "--disablerepo", "--trusted-host"}

// managers are the programs that install packages, and by which word.
var managers = map[string][]string{
	"apt": {"install"}, "apt-get": {"install"}, "aptitude": {"install"}, "apk": {"add"}, "yum": {"install"}, "dnf": {"install"}, "microdnf": {"install"},
	"zypper": {"install", "in"}, "pip": {"install"}, "pip3": {"install"}, "npm": {"install", "i"}, "gem": {"install"},
}

// maxPackages bounds how many names are kept of one image.
const maxPackages = 512

// packagesIn are the names that a command of a shell gives to package managers.
func packagesIn(command string) []string {
	if !strings.Contains(command, "install") && !strings.Contains(command, " add ") && !strings.Contains(command, " i ") && !strings.Contains(command, " in ") {
		return nil
	}
	var names []string
	separators := func(r rune) bool { return r == ';' || r == '&' || r == '|' || r == '\n' || r == '(' || r == ')' }
	for part := range strings.FieldsFuncSeq(command, separators) {
		words := strings.Fields(part)
		at := slices.IndexFunc(words, func(w string) bool { return managers[w[strings.LastIndexByte(w, '/')+1:]] != nil })
		if at < 0 {
			continue
		}
		verbs := managers[words[at][strings.LastIndexByte(words[at], '/')+1:]]
		installs := false
		for words = words[at+1:]; len(words) > 0; words = words[1:] {
			word := words[0]
			switch {
			case slices.Contains(valued, word):
				words = words[min(1, len(words)-1):]
			case strings.HasPrefix(word, "-") || word == "\\":
			case !installs:
				if !slices.Contains(verbs, word) {
					words = words[:1] // another verb: nothing is installed
				} else {
					installs = true
				}
			default:
				if name := packageName(word); name != "" {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// packageName is a word without the version that it asks for; "" for what is no
// name, such as a variable, a folder or an address.
func packageName(word string) string {
	word = strings.Trim(word, `"'`)
	from := min(1, len(word)) // the @ of npm's scopes is no version
	end := strings.IndexAny(word[from:], "=<>~@[")
	if end >= 0 {
		word = word[:from+end]
	}
	if !packageWord().MatchString(word) || len(word) > 100 {
		return ""
	}
	return word
}

var packageWord = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^@?[A-Za-z0-9][A-Za-z0-9+._:/-]*$`) })

// shorten cuts a text to at most n bytes, between two characters.
func shorten(text string, n int) (string, bool) {
	if len(text) <= n {
		return text, false
	}
	return strings.ToValidUTF8(text[:n], ""), true
}

// stepReader parses steps, each text once: most images share those of their base.
type stepReader struct {
	known map[string]parsedStep
	// left is how many bytes of texts may still be kept, over all images.
	left int
}

type parsedStep struct {
	facts.ImageStep
	packages     []string
	cut, endless bool
}

// maxHistoryBytes bounds the texts of all steps that are kept.
const maxHistoryBytes = 64 << 20

func newStepReader() *stepReader {
	return &stepReader{known: map[string]parsedStep{}, left: maxHistoryBytes}
}

// read gives the step for a text; false is no room for it.
func (r *stepReader) read(createdBy string) (parsedStep, bool) {
	key, cut := shorten(createdBy, maxStepBytes)
	if known, ok := r.known[key]; ok && known.cut == cut {
		return known, true
	}
	if r.left -= len(key) + 200; r.left < 0 {
		return parsedStep{}, false
	}
	key = strings.Clone(key)
	s := parsedStep{cut: cut}
	s.ImageStep, s.endless = parseStep(key)
	if s.Instruction == "RUN" || s.Instruction == "" {
		s.packages = packagesIn(s.Command)
	}
	r.known[key] = s
	return s, true
}
