package gate

// refusedEveryday are commands that people do use, and that the default policy refuses. In
// the mode observe they give what they give without the gate. This is the whole list: every
// other command that is compared passes.
var refusedEveryday = []step{
	{line: "docker run --rm --name pp --privileged web:1 true", refused: "(privileged, critical)"},
	{line: "docker run --rm --name pp -v /:/host:ro web:1 true", refused: "(host-root-mounted, critical)"},
	{line: "docker run --rm --name pp -v /run/docker.sock:/var/run/docker.sock web:1 true", refused: "(engine-socket-mounted, critical)"},
	{line: "docker run --rm --name pp -v /run/docker.sock:/var/run/docker.sock:ro web:1 true", refused: "(engine-socket-mounted, critical)"},
	{line: "docker run --rm --name pp -v /etc:/host-etc web:1 true", refused: "(host-system-writable, high)"},
	{line: "docker run --rm --name pp --network host web:1 true", refused: "(network-namespace-host, high)"},
	{line: "docker run --rm --name pp --pid host web:1 true", refused: "(pid-namespace-host, high)"},
	{line: "docker run --rm --name pp --ipc host web:1 true", refused: "(ipc-namespace-host, high)"},
	{line: "docker run --rm --name pp --cap-add sys_admin web:1 true", refused: "(capability-controls-host, high)"},
	{line: "docker run --rm --name pp --security-opt seccomp=unconfined web:1 true", refused: "(seccomp-unconfined, high)"},
	{line: "docker run --rm --name pp --security-opt systempaths=unconfined web:1 true", refused: "(system-paths-open, high)"},
	{line: "docker run --rm --name pp -e DB_PASSWORD=correct-horse-battery web:1 true", refused: "(secret-in-environment, high)"},
	{line: "docker volume create --name bound -o type=none -o o=bind -o device=/tmp", refused: "(volume-is-host-path, high)"},
	{line: "docker network create -d macvlan lan", refused: "the network driver macvlan"},
	{line: "docker build --network host -t p:1 app", refused: "(network-namespace-host, high)"},
	{line: "buildkit build -q --progress plain -t p:2 app", refused: "received 403", outside: true},
	{line: "docker plugin disable no/such", refused: "the class plugins"},
	{line: "docker swarm leave", refused: "the class swarm"},
	{line: "docker service create web:1", refused: "the class services"},
}
