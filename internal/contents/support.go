package contents

import (
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/sbom"
)

// ends are the last days on which a release is mended for everybody, as its makers had
// announced by 2026-11-28: Debian's LTS (https://wiki.debian.org/LTS), Ubuntu's standard
// support (https://ubuntu.com/about/release-cycle), Alpine
// (https://alpinelinux.org/releases), AlmaLinux (https://wiki.almalinux.org/release-notes),
// Rocky Linux (https://wiki.rockylinux.org/rocky/version), CentOS
// (https://www.centos.org/centos-linux-eol), Red Hat's maintenance support
// (https://access.redhat.com/support/policy/updates/errata), Fedora
// (https://docs.fedoraproject.org/en-US/releases/eol/), openSUSE Leap
// (https://en.opensuse.org/Lifetime) and Amazon Linux
// (https://docs.aws.amazon.com/linux/al2023/release-notes/support-info-by-support-statement.html,
// https://aws.amazon.com/amazon-linux-2/faqs/). A release that is not here is not known.
var ends = map[string]string{
	"debian 7": "2018-05-31", "debian 8": "2020-06-30", "debian 9": "2022-06-30", "debian 10": "2024-06-30", "debian 11": "2026-08-31", "debian 12": "2028-06-30", "debian 13": "2030-06-30",
	"ubuntu 20.10": "2021-07-22", "ubuntu 21.04": "2022-01-20", "ubuntu 21.10": "2022-07-14", "ubuntu 22.10": "2023-07-20", "ubuntu 23.04": "2024-01-25", "ubuntu 23.10": "2024-07-11", "ubuntu 24.10": "2025-07-10",
	"ubuntu 14.04": "2019-04-25", "ubuntu 16.04": "2021-04-30", "ubuntu 18.04": "2023-05-31", "ubuntu 20.04": "2025-05-31", "ubuntu 22.04": "2027-06-01", "ubuntu 24.04": "2029-05-31",
	"alpine 3.10": "2021-05-01", "alpine 3.11": "2021-11-01", "alpine 3.12": "2022-05-01", "alpine 3.13": "2022-11-01", "alpine 3.14": "2023-05-01", "alpine 3.15": "2023-11-01", "alpine 3.16": "2024-05-23", "alpine 3.17": "2024-11-22", "alpine 3.18": "2025-05-09",
	"alpine 3.19": "2025-11-01", "alpine 3.20": "2026-04-01", "alpine 3.21": "2026-11-01", "alpine 3.22": "2027-05-01", "alpine 3.23": "2027-11-01",
	"centos 6": "2020-11-30", "centos 7": "2024-06-30", "centos 8": "2021-12-31",
	"almalinux 8": "2029-03-01", "almalinux 9": "2032-05-31", "rocky 8": "2029-05-31", "rocky 9": "2032-05-31",
	"almalinux 10": "2035-05-31", "rocky 10": "2035-05-31", "rhel 10": "2035-05-31",
	"rhel 7": "2024-06-30", "rhel 8": "2029-05-31", "rhel 9": "2032-05-31",
	"fedora 37": "2023-12-05", "fedora 38": "2024-05-21", "fedora 39": "2024-11-26", "fedora 40": "2025-05-13",
	"opensuse-leap 15.3": "2022-12-31", "opensuse-leap 15.4": "2023-12-07", "opensuse-leap 15.5": "2024-12-31",
	"amzn 2018": "2023-12-31", "amzn 2": "2026-06-30", "amzn 2023": "2029-06-30",
}

// supported is until when a distribution is mended; known is false where that is not known.
func supported(os sbom.OS) (day time.Time, known bool) {
	parts := strings.Split(os.VersionID, ".")
	version := parts[0]
	if slices.Contains([]string{"ubuntu", "alpine", "opensuse-leap"}, os.ID) && len(parts) > 1 {
		version += "." + parts[1]
	}
	text, known := ends[os.ID+" "+version]
	if !known {
		return time.Time{}, false
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, false
	}
	return day.Add(24*time.Hour - time.Second), true // to its end
}
