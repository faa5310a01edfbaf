package redact

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestText: what looks like a secret is struck out and said, and what does not
// stays.
func TestText(t *testing.T) {
	key := "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY----- > k"
	for text, want := range map[string][3]string{
		"git clone https://ana:hunter2@git.example/a":          {"git clone https://ana:***@git.example/a", "", "a password in a URL"},
		"git clone https://0123456789abcdef0123@github.com/a":  {"git clone https://***@github.com/a", "", "a token in a URL"},
		"git clone https://ana@git.example/a":                  {"git clone https://***@git.example/a", "", ""},
		"git clone ssh://git@git.example/a git@git.example:a":  {"git clone ssh://git@git.example/a git@git.example:a", "", ""},
		"curl -u ana:hunter2 x":                                {"curl -u ana:*** x", "", "a password for curl"},
		"curl -u 'ana:hun ter2' x":                             {"curl -u 'ana:***' x", "", "a password for curl"},
		"curl -u $A:$B x":                                      {"curl -u $A:$B x", "", ""},
		"echo 'root:hunter2' | chpasswd":                       {"echo 'root:***' | chpasswd", "", "a password for chpasswd"},
		`curl -H "Authorization: Bearer hunter2" x`:            {`curl -H "Authorization: Bearer ***" x`, "", "an Authorization header"},
		`curl -H "Authorization: hunter2 b" x`:                 {`curl -H "Authorization: ***" x`, "", "an Authorization header"},
		`curl -H "Authorization: Bearer $TOKEN" x`:             {`curl -H "Authorization: Bearer $TOKEN" x`, "", ""},
		"mysql -e \"CREATE USER a IDENTIFIED BY 'hunter2'\"":   {"mysql -e \"CREATE USER a IDENTIFIED BY '***'\"", "", "a password for a database"},
		"mysql -uroot -phunter2 -e x":                          {"mysql -uroot -p*** -e x", "", "a password for a database"},
		"mysql -uroot -p -e x; mkdir -p /a":                    {"mysql -uroot -p -e x; mkdir -p /a", "", ""},
		"sshpass -p hunter2 ssh a":                             {"sshpass -p *** ssh a", "", "a password for ssh"},
		"sshpass -f /run/secrets/p ssh -p 22 a":                {"sshpass -f /run/secrets/p ssh -p 22 a", "", ""},
		"docker login -u a -p hunter2 r.example":               {"docker login -u a -p *** r.example", "", "a password for a registry"},
		"docker run -p 80:80 x":                                {"docker run -p 80:80 x", "", ""},
		"echo machine a login b password hunter2 > .netrc":     {"echo machine a login b password *** > .netrc", "", "a password for a machine"},
		`echo '{"auths":{"r":{"auth":"aHVudGVyMg=="}}}' > a`:   {`echo '{"auths":{"r":{"auth":***' > a`, "", "a credential for a registry"},
		"echo //r/:_auth=hunter2 > .npmrc":                     {"echo //r/:_auth=*** > .npmrc", "", "a credential of npm"},
		"REDISCLI_AUTH=hunter2 redis-cli":                      {"REDISCLI_AUTH=*** redis-cli", "REDISCLI_AUTH", ""},
		"docker build --build-arg DB=hunter2 .":                {"docker build --build-arg DB=*** .", "DB", ""},
		"DB_PASSWORD=hunter2 ./install":                        {"DB_PASSWORD=*** ./install", "DB_PASSWORD", ""},
		`PASSWORD="pa$hunter2" ./a`:                            {"PASSWORD=*** ./a", "PASSWORD", ""},
		`PASSWORD=abc\ hunter2 ./a`:                            {"PASSWORD=*** ./a", "PASSWORD", ""},
		`PASSWORD="abc"hunter2 ./a`:                            {"PASSWORD=*** ./a", "PASSWORD", ""},
		`PASSWORD=${P:-hunter2} ./a`:                           {"PASSWORD=*** ./a", "PASSWORD", ""},
		`PASSWORD=$(cat p) ./a`:                                {"PASSWORD=$(cat p) ./a", "", ""},
		`PASSWORD="$(cat p)" TOKEN="${T}" ./a`:                 {`PASSWORD="$(cat p)" TOKEN="${T}" ./a`, "", ""},
		`echo "password=hun ter2" > a && b`:                    {`echo "password=***" > a && b`, "password", ""},
		`mysql --password="hunter 2" -e x`:                     {`mysql --password=*** -e x`, "", "a value of --password"},
		"tool --api-key hunter2 go":                            {"tool --api-key *** go", "", "a value of --api-key"},
		"tool --private-key /etc/key go":                       {"tool --private-key *** go", "", ""},
		`["srv","--token","hunter2"]`:                          {"srv --token ***", "", "a value of --token"},
		`["srv","--token-file","/run/token"]`:                  {`["srv","--token-file","/run/token"]`, "", ""},
		`["sh","-c","TOKEN=hunter2 x"]`:                        {"sh -c 'TOKEN=***'", "TOKEN", ""},
		"adduser --disabled-password --gecos \"\" x":           {"adduser --disabled-password --gecos \"\" x", "", ""},
		"adduser --disabled-login x && psql --no-password db":  {"adduser --disabled-login x && psql --no-password db", "", ""},
		"docker login --password-stdin r < /p":                 {"docker login --password-stdin r < /p", "", ""},
		"x --password-prompt y --without-token z":              {"x --password-prompt y --without-token z", "", ""},
		"x --password --verbose":                               {"x --password --verbose", "", ""},
		"docker build --secret id=a,src=b .":                   {"docker build --secret id=a,src=b .", "", ""},
		"echo //npm.example/:_authToken=hunter2 > .npmrc":      {"echo //npm.example/:_authToken=*** > .npmrc", "_authToken", ""},
		"DB_PASSWORD_FILE=/run/p ./a":                          {"DB_PASSWORD_FILE=*** ./a", "", ""},
		"x ghp_0123456789abcdefghij0123456789abcdef y":         {"x *** y", "", "a token of GitHub"},
		"aws AKIAABCDEFGHIJKLMNOP":                             {"aws ***", "", "an access key of AWS"},
		"echo " + key:                                          {"echo -----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY----- > k", "", "a private key"},
		"curl https://git.example/a; wget https://x:8080/@foo": {"curl https://git.example/a; wget https://x:8080/@foo", "", ""},
		"git clone https://$USER:$TOKEN@git.example/a":         {"git clone https://$USER:$TOKEN@git.example/a", "", ""},
		"DB_PASSWORD=$SECRET ./install":                        {"DB_PASSWORD=$SECRET ./install", "", ""},
		"DB_PASSWORD= API_TOKEN=\"\" ./install":                {"DB_PASSWORD= API_TOKEN=\"\" ./install", "", ""},
		"apt-get install libpam-passwdqc":                      {"apt-get install libpam-passwdqc", "", ""},
		"useradd -p x web; chown -u 1000:1000 /a":              {"useradd -p x web; chown -u 1000:1000 /a", "", ""},
		"docker run -u 1000:1000 x; cat /run/secrets/token":    {"docker run -u 1000:1000 x; cat /run/secrets/token", "", ""},
	} {
		out, names, found := Text(text)
		if got := [3]string{out, strings.Join(names, ","), strings.Join(found, ",")}; got != want {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestLabels(t *testing.T) {
	got := Labels(map[string]string{"source": "https://ana:hunter2@git.example/a", "api.token": "hunter2", "db.password": "hunter2 hunter3", "title": "a password: none", "empty": "",
		"x ghp_0123456789abcdefghij": "y", "com.example.description": "keeps tokens of users", "com.docker.compose.project": "web"})
	want := map[string]string{"source": "https://ana:***@git.example/a", "api.token": "***", "db.password": "***", "title": "a password: ***", "empty": "",
		"x ghp_0123456789abcdefghij": "***", "com.example.description": "keeps tokens of users", "com.docker.compose.project": "web"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if Labels(nil) == nil {
		t.Error("no labels are nil")
	}
}

// FuzzText: whatever stands around it, the value of a secret that begins a line is
// not in what is left.
func FuzzText(f *testing.F) {
	for _, text := range []string{"", "'", `"`, "apt-get update && ", "$", " -", `\`, "[", "password "} {
		f.Add(text, text)
	}
	const secret = "q7Zv9kPx"
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, secret) {
			t.Skip()
		}
		out, _, _ := Text(before + "\nDB_PASSWORD=" + secret + " " + after)
		if strings.Contains(out, secret) {
			t.Errorf("%q, %q: %q", before, after, out)
		}
		if shown := Labels(map[string]string{"db.password": before + secret + after})["db.password"]; strings.Contains(shown, secret) {
			t.Errorf("%q, %q: the label %q", before, after, shown)
		}
	})
}
