package escape

import "time"

// Date is when the tables were last brought up to date.
var Date = time.Date(2026, 10, 12, 0, 0, 0, 0, time.UTC)

// Path is what must be the case for a flaw to be within reach of anybody.
type Path string

// The paths.
const (
	Always            Path = ""                                  // any container, image, build or local user will do
	HostNetwork       Path = "a container in the host's network" // a container in the host's network namespace
	Authorization     Path = "an authorization plugin"           // who may ask the engine is decided by a plugin
	MandatoryAccess   Path = "AppArmor or SELinux"               // what is got round is there
	KubernetesRuntime Path = "Kubernetes"                        // something speaks CRI to containerd, which the engine does not
	UserNamespace     Path = "userns-remap"                      // root in containers is another user
	Firewalld         Path = "firewalld"                         // it runs on the host
	InternalNetwork   Path = "an internal network"               // one without a way out
)

// between is the versions of a component that have a flaw: from the first on, and
// before the second.
type between struct{ from, fixed string }

// flaw is one that is known.
type flaw struct {
	id, component string
	// escape is true for what leads from a container, an image or a build to files or
	// root of the host; else less is lost.
	escape bool
	path   Path
	// affected leaves out branches of which nothing is known for certain.
	affected []between
	source   string
}

// flaws are known ones of what runs containers, but for those that only stop it.
// Sources: the projects' own advisories as the Go vulnerability database has them
// (pkg.go.dev/vuln), which names each fixed version, and, where its versions are the
// Go module's and not the engine's, the advisory on github.com.
//
// The engine's own BuildKit has no version that it tells, so its flaws are given by
// the engine's.
var flaws = []flaw{
	{"CVE-2019-5736", "runc", true, Always, []between{{"0", "1.0.0-rc7"}}, "openwall.com/lists/oss-security/2019/02/11/2"},
	{"CVE-2019-16884", "runc", false, MandatoryAccess, []between{{"0", "1.0.0-rc9"}}, "GO-2021-0085"},
	{"CVE-2019-19921", "runc", false, Always, []between{{"0", "1.0.0-rc10"}}, "GO-2021-0087"},
	{"CVE-2021-30465", "runc", true, Always, []between{{"0", "1.0.0-rc95"}}, "GO-2022-0914"},
	{"CVE-2022-29162", "runc", false, Always, []between{{"0", "1.1.2"}}, "GO-2022-0452"},
	{"CVE-2023-27561", "runc", false, Always, []between{{"1.0.0-rc95", "1.1.5"}}, "GO-2023-1627"},
	{"CVE-2023-28642", "runc", false, MandatoryAccess, []between{{"0", "1.1.5"}}, "GO-2023-1683"},
	{"CVE-2024-21626", "runc", true, Always, []between{{"1.0.0-rc93", "1.1.12"}}, "GO-2024-2491"},
	{"CVE-2024-45310", "runc", false, Always, []between{{"0", "1.1.14"}, {"1.2.0-rc1", "1.2.0-rc3"}}, "GO-2024-3110"},
	{"CVE-2025-31133", "runc", true, Always, []between{{"0", "1.2.8"}, {"1.3.0-rc1", "1.3.3"}, {"1.4.0-rc1", "1.4.0-rc3"}}, "GO-2025-4096"},
	{"CVE-2025-52565", "runc", true, Always, []between{{"1.0.0-rc3", "1.2.8"}, {"1.3.0-rc1", "1.3.3"}, {"1.4.0-rc1", "1.4.0-rc3"}}, "GO-2025-4097"},
	{"CVE-2025-52881", "runc", true, Always, []between{{"0", "1.2.8"}, {"1.3.0-rc1", "1.3.3"}, {"1.4.0-rc1", "1.4.0-rc3"}}, "GO-2025-4098"},
	{"CVE-2026-41579", "runc", false, Always, []between{{"0", "1.3.6"}, {"1.4.0", "1.4.3"}, {"1.5.0-rc1", "1.5.0-rc3"}}, "GO-2026-5761"},

	{"CVE-2020-15257", "containerd", true, HostNetwork, []between{{"0", "1.3.9"}, {"1.4.0", "1.4.3"}}, "GO-2022-0784"},
	{"CVE-2021-41103", "containerd", false, Always, []between{{"0", "1.4.11"}, {"1.5.0", "1.5.7"}}, "GO-2022-0938"},
	{"CVE-2022-23648", "containerd", true, KubernetesRuntime, []between{{"0", "1.4.13"}, {"1.5.0", "1.5.10"}, {"1.6.0", "1.6.1"}}, "GO-2022-0344"},
	{"CVE-2023-25173", "containerd", false, KubernetesRuntime, []between{{"0", "1.5.18"}, {"1.6.0", "1.6.18"}}, "GO-2023-1574"},
	{"CVE-2024-25621", "containerd", false, Always, []between{{"0", "1.7.29"}, {"2.0.0", "2.0.7"}, {"2.1.0-beta.0", "2.1.5"}}, "GO-2025-4100"},
	{"CVE-2024-40635", "containerd", false, KubernetesRuntime, []between{{"0", "1.6.38"}, {"1.7.0-beta.0", "1.7.27"}, {"2.0.0", "2.0.4"}}, "GO-2025-3528"},
	{"CVE-2026-53488", "containerd", true, KubernetesRuntime, []between{{"1.7.0", "1.7.33"}, {"2.0.0", "2.0.10"}, {"2.1.0", "2.1.9"}, {"2.2.0", "2.2.5"}, {"2.3.0", "2.3.2"}}, "GO-2026-5758"},

	{"CVE-2019-14271", "engine", true, Always, []between{{"19.03.0", "19.03.1"}}, "docs.docker.com/engine/release-notes/19.03"},
	{"CVE-2021-21284", "engine", true, UserNamespace, []between{{"0", "19.03.15"}, {"20.10.0", "20.10.3"}}, "GHSA-7452-xqpj-6rpc"},
	{"CVE-2021-41089", "engine", false, Always, []between{{"0", "20.10.9"}}, "GO-2024-2913"},
	{"CVE-2021-41091", "engine", false, Always, []between{{"0", "20.10.9"}}, "GO-2024-2500"},
	{"CVE-2022-24769", "engine", false, Always, []between{{"0", "20.10.14"}}, "GO-2022-0390"},
	{"CVE-2022-36109", "engine", false, Always, []between{{"0", "20.10.18"}}, "GO-2022-0985"},
	{"CVE-2024-23651", "engine", true, Always, []between{{"18.09.0", "23.0.0"}, {"24.0.0", "25.0.2"}}, "GO-2024-2493"},
	{"CVE-2024-23652", "engine", true, Always, []between{{"18.09.0", "23.0.0"}, {"24.0.0", "25.0.2"}}, "GO-2024-2494"},
	{"CVE-2024-23653", "engine", true, Always, []between{{"18.09.0", "23.0.0"}, {"24.0.0", "25.0.2"}}, "GO-2024-2497"},
	{"CVE-2024-29018", "engine", false, InternalNetwork, []between{{"0", "23.0.11"}, {"24.0.0", "25.0.5"}}, "GHSA-mq39-4gv4-mvpx"},
	{"CVE-2024-41110", "engine", true, Authorization, []between{{"19.03.0", "23.0.15"}, {"24.0.0", "25.0.6"}, {"26.0.0", "26.1.5"}, {"27.0.0", "27.1.1"}}, "GHSA-v23v-6jw2-98fq"},
	{"CVE-2025-54388", "engine", false, Firewalld, []between{{"28.2.0", "28.3.3"}}, "GO-2025-3830"},
	{"CVE-2026-34040", "engine", true, Authorization, []between{{"0", "25.0.15"}, {"26.0.0", "29.3.1"}}, "GHSA-x744-4wpc-v9h2"},
	{"CVE-2026-41567", "engine", true, Always, []between{{"0", "25.0.15"}, {"26.0.0", "29.5.1"}}, "GHSA-x86f-5xw2-fm2r"},
	{"CVE-2026-41568", "engine", false, Always, []between{{"0", "25.0.15"}, {"26.0.0", "29.5.1"}}, "GHSA-vp62-88p7-qqf5"},
	{"CVE-2026-42306", "engine", true, Always, []between{{"0", "25.0.15"}, {"26.0.0", "29.5.1"}}, "GHSA-rg2x-37c3-w2rh"},
}

// mended has the versions of Debian's packages that have a fix which their upstream
// version does not tell: by package, release of Debian and flaw. Sources: the
// changelogs of the packages (metadata.ftp-master.debian.org/changelogs), and the
// advisories DSA-5091-1, DSA-5162-1 and DSA-5615-1.
var mended = map[string]map[string]map[string]string{
	"runc": {
		"11": {"CVE-2024-21626": "1.0.0~rc93+ds1-5+deb11u3"},
		"12": {"CVE-2024-21626": "1.1.5+ds1-1+deb12u1"},
	},
	"containerd": {
		"11": {"CVE-2022-23648": "1.4.13~ds1-1~deb11u1"},
		"12": {"CVE-2024-25621": "1.6.20~ds1-1+deb12u2", "CVE-2024-40635": "1.6.20~ds1-1+deb12u2"},
	},
	"docker.io": {
		"12": {"CVE-2024-41110": "20.10.24+dfsg1-1+deb12u1"},
	},
}

// branch is a line of the engine's releases.
type branch struct {
	name, newest string
	// ended is the day from which nobody maintains it; "" for one that is maintained.
	ended string
}

// branches are the engine's, newest first. Sources: project/BRANCHES-AND-TAGS.md of
// github.com/moby/moby with its pull request 52625, the releases there, and
// endoflife.date/docker-engine.
var branches = []branch{
	{"29", "29.9.0", ""},
	{"28", "28.5.2", "2026-05-13"},
	{"27", "27.5.1", "2025-05-03"},
	{"26.1", "26.1.5", "2025-02-17"},
	{"26.0", "26.0.2", "2024-06-08"},
	{"25.0", "25.0.16", ""},
	{"24.0", "24.0.9", "2024-06-08"},
	{"23.0", "23.0.18", "2025-05-19"},
	{"20.10", "20.10.27", "2023-12-10"},
	{"19.03", "19.03.15", "2021-01-08"},
	{"18.09", "18.09.9", "2019-08-22"},
	{"18.06", "18.06.3", "2018-12-08"},
	{"17.12", "17.12.1", "2018-02-10"},
	{"17.09", "17.09.1", "2017-11-17"},
	{"17.06", "17.06.2", "2017-09-29"},
	{"17.03", "17.03.2", "2017-06-27"},
}

// distributed are engines that a distribution maintains for a release of its own:
// the newest package, and the day from which nobody does. Source: the archive of
// Debian, and wiki.debian.org/LTS.
var distributed = map[string]map[string]branch{
	"docker.io": {"12": {"Debian 12", "20.10.24+dfsg1-1+deb12u1", "2028-07-01"}},
}
