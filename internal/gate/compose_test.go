package gate

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// composeFiles are a project of three services, with what such files have.
var composeFiles = map[string]string{
	"shop/docker-compose.yml": `version: "3.8"
services:
  web:
    image: web:1
    command: sleep 100000
    depends_on: [made]
    environment: [A=1, B=2]
    labels: {tier: front}
    ports: ["127.0.0.1:8090:80"]
    networks:
      front: {aliases: [www]}
      back:
    volumes: ["data:/data", "./src:/src:ro", "/scratch"]
    tmpfs: [/run]
    restart: unless-stopped
    healthcheck: {test: [CMD, "true"], interval: 1h}
    logging: {driver: json-file, options: {max-size: 1m}}
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    read_only: true
    user: "65534"
    ulimits: {nofile: {soft: 100, hard: 200}}
    sysctls: {net.ipv4.ip_forward: 0}
    extra_hosts: ["other:10.0.0.1"]
    init: true
    stop_grace_period: 0s
  store:
    image: web:1
    command: sleep 100000
    networks: [back]
    deploy: {resources: {limits: {memory: 64M, cpus: "0.5"}}}
    stop_signal: SIGKILL
  made:
    build: {context: ./app, args: {WHO: compose}, labels: {by: compose}}
    command: sleep 100000
    depends_on: [store]
    networks: [back]
    stop_grace_period: 0s
networks:
  front:
  back: {internal: true, labels: {a: b}, ipam: {config: [{subnet: 10.80.0.0/24}]}}
volumes:
  data: {labels: {a: b}}
`,
	"shop/docker-compose.more.yml": `version: "3.8"
services:
  web:
    environment: [A=3]
`,
	"shop/src/a.txt":      "a\n",
	"shop/app/Dockerfile": everydayFiles["app/Dockerfile"],
	"shop/app/a.txt":      "for compose\n",
}

// composes are the commands of docker-compose 1.29. The second up has nothing to do.
var composes = []step{
	// What top and stats count is chance.
	{line: "python sdk.py", blur: `\b\d{3,}\b|"\d+"|":[\[{]?\d+|(?m:^\d+)|sleep "\]+,?`},
	{line: "compose config -q"},
	{line: "compose build"},
	{line: "compose up -d", alone: true},
	{line: "what is there", do: there},
	{line: "compose up -d"},
	{line: "what is there", do: there},
	{line: "compose ps"},
	{line: "compose images"},
	{line: "compose exec -T web cat /src/a.txt"},
	{line: "compose run --rm -T store echo once", alone: true},
	{line: "compose logs --no-color --tail 5 made", outside: true},
	{line: "compose top", blur: `\b\d+\b|-+| +`},
	{line: "compose port web 80"},
	{line: "compose up -d --scale store=2", alone: true},
	{line: "compose -f docker-compose.yml -f docker-compose.more.yml up -d web", alone: true},
	{line: "compose restart -t 0 store"},
	{line: "compose pause"},
	{line: "compose unpause"},
	{line: "compose stop -t 0"},
	{line: "compose start", alone: true},
	{line: "compose kill"},
	{line: "compose rm -f"},
	{line: "compose pull --ignore-pull-failures store", outside: true, blur: `(?s)(Pulling|\r).*`},
	{line: "compose up -d --force-recreate", alone: true},
	// How what is killed while it ends has ended is chance.
	{line: "compose down -v --rmi local", alone: true, blur: `"ExitCode":\d+|Exited \(\d+\)`},
	{line: "docker ps -a"},
}

// there are the ids of all containers, each with its name: the same before and after what
// recreates nothing.
func there(s *side) outcome {
	s.t.Helper()
	ids := strings.Split(s.run("docker ps -a --no-trunc --format '{{.ID}} {{.Names}}'", "").Out, "\n")
	var names []string
	for _, line := range ids {
		id, name, _ := strings.Cut(line, " ")
		names = append(names, name)
		if was, ok := s.ids[name]; ok && was != id {
			s.t.Errorf("%s: %s is another container now", s.name, name)
		}
		s.ids[name] = id
	}
	return outcome{Out: strings.Join(names, "\n")}
}

// TestFaithfulCompose: so do docker-compose's, and its second up recreates nothing.
func TestFaithfulCompose(t *testing.T) {
	program, environ := lab.Compose(t)
	t.Parallel()
	script, err := os.ReadFile("testdata/sdk.py")
	if err != nil {
		t.Fatal(err)
	}
	composeFiles["sdk.py"] = string(script)
	all := sides(t, debian, composeFiles, Enforce)
	for _, s := range all {
		s.compose, s.environ = program, environ
	}
	steps := slices.Clone(composes)
	if !thorough {
		steps = steps[2:7]
	}
	for i := range steps {
		// Who of two that begin together has which address, or name, is chance.
		steps[i].blur = strings.TrimPrefix(steps[i].blur+`|10\.80\.0\.\d+|02:42:[0-9a-f:]+|[0-9a-f]{10,64}`, "|")
		steps[i].shuffled = true
	}
	same(t, all, steps)
}
