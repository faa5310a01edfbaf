package gate

import (
	"encoding/json"
	"regexp"
	"strings"
)

// sdks are the requests of libraries and of what is built with them, to the letter.
var sdks = []step{
	{line: "docker-py", do: dockerPy},
	{line: "dockerode", do: dockerode},
	{line: "docker-java", do: dockerJava},
	{line: "Docker.DotNet", do: dotNet},
	{line: "a Go client of 20.10", do: goClient},
	{line: "the Go SDK", do: goSDK},
	{line: "Traefik", do: traefik},
	{line: "Portainer", do: portainer},
	{line: "GitLab's runner", do: gitlabRunner},
	{line: "Watchtower", do: watchtower},
	{line: "curl", do: curl},
	{line: "a page that is not in the API", do: sent("GET /v1.41/no/such/page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), refused: "page not found"},
	{line: "docker ps -a"},
}

var quotedID = regexp.MustCompile(`"Id":"([0-9a-f]{64})"`)

// id is the id in an answer.
func id(answer []byte) string {
	if m := quotedID.FindSubmatch(answer); m != nil {
		return string(m[1])
	}
	return "no-id"
}

// dockerPy is docker-py 5 to 7: http.client's head, what is None left out of bodies but in
// a HostConfig's lists, and two keys that are spelt in its own way.
func dockerPy(s *side) outcome {
	fields := []string{"Host: localhost", "User-Agent: docker-sdk-python/7.1.0", "Accept-Encoding: gzip, deflate", "Accept: */*", "Connection: keep-alive"}
	w := s.wire(fields...)
	defer w.close()
	w.call("GET", "/version", "")
	w.call("GET", "/v1.41/images/web:1/json", "")
	w.call("POST", "/v1.41/networks/create", `{"Name": "py", "Driver": "bridge", "Options": null, "IPAM": {"Driver": "default", "Config": [{"Subnet": "10.78.0.0/24", "IPRange": null, "Gateway": null, "AuxiliaryAddresses": null}]}, "CheckDuplicate": true, "Internal": false, "Labels": {"a": "b"}, "EnableIPv6": false, "Attachable": null, "Ingress": null, "Scope": null}`)
	w.call("POST", "/v1.41/volumes/create", `{"Name": "py", "Driver": null, "DriverOpts": null, "Labels": {"a": "b"}}`)
	w.call("POST", "/v1.41/containers/create?name=py", `{"Hostname": null, "Domainname": null, "ExposedPorts": {"80/tcp": {}}, "User": null, "Tty": false, "OpenStdin": true, "StdinOnce": true, "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Env": ["A=1", "B"], "Cmd": ["sleep", "1000"], "Image": "web:1", "Volumes": {"/data": {}}, "NetworkDisabled": false, "Entrypoint": null, "WorkingDir": null, "HostConfig": {"NetworkMode": "py", "Memory": 67108864, "MemorySwap": 67108864, "CPURealtimePeriod": 0, "Binds": ["py:/data:rw"], "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": null}]}, "LogConfig": {"Type": "json-file", "Config": {}}, "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}], "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, "Links": [], "ExtraHosts": ["a:10.0.0.1"], "CapAdd": null, "Isolation": null, "VolumesFrom": [], "Mounts": [{"Target": "/m", "Source": "py", "Type": "volume", "ReadOnly": true}], "DeviceRequests": null, "LxcConf": null, "Init": null, "PidsLimit": null, "Privileged": false}, "NetworkingConfig": {"EndpointsConfig": {"py": {"Aliases": ["a"], "IPAMConfig": {}}}}, "MacAddress": null, "Labels": {"a": "b"}, "StopSignal": null, "Healthcheck": {"Test": ["CMD", "true"], "Interval": 3600000000000}, "StopTimeout": null, "Runtime": null}`)
	w.call("GET", "/v1.41/containers/py/json", "")
	w.call("POST", "/v1.41/containers/py/start", "")
	w.call("POST", "/v1.41/containers/create?name=pyin", `{"OpenStdin": true, "StdinOnce": true, "AttachStdin": true, "Cmd": ["cat"], "Image": "web:1", "HostConfig": {"NetworkMode": "default"}}`)
	w.call("POST", "/v1.41/containers/pyin/start", "")
	out := s.wire(fields...).taken("/v1.41/containers/pyin/attach?stdin=1&stdout=1&stream=1&logs=1", "", "to its input\n")
	w.call("GET", "/v1.41/containers/py/json", "")
	exec := id(w.call("POST", "/v1.41/containers/py/exec", `{"Container": "py", "User": "", "Privileged": false, "Tty": false, "AttachStdin": false, "AttachStdout": true, "AttachStderr": true, "Cmd": ["echo", "hello"], "Env": null, "WorkingDir": "/tmp", "detachKeys": "ctrl-x"}`))
	out += s.wire(fields...).taken("/v1.41/exec/"+exec+"/start", `{"Tty": false, "Detach": false}`, "")
	w.call("GET", "/v1.41/exec/"+exec+"/json", "")
	exec = id(w.call("POST", "/v1.41/containers/py/exec", `{"Container": "py", "User": "", "Privileged": false, "Tty": false, "AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "Cmd": ["true"]}`))
	w.call("POST", "/v1.41/exec/"+exec+"/start", `{"Tty": false, "Detach": true}`)
	w.call("GET", "/v1.41/containers/py/logs?stderr=1&stdout=1&timestamps=0&follow=0&tail=all", "")
	w.call("POST", "/v1.41/containers/py/update", `{"CpuShares": 512, "Memory": 134217728, "MemorySwap": 134217728}`)
	w.call("POST", "/v1.41/containers/py/rename?name=py2", "")
	w.call("POST", "/v1.41/networks/bridge/connect", `{"Container": "py2", "EndpointConfig": {"IPAMConfig": {}}}`)
	w.call("POST", "/v1.41/networks/bridge/disconnect", `{"Container": "py2", "Force": false}`)
	w.call("POST", "/v1.41/commit?container=py2&repo=py&tag=1&comment=c&author=me", `{}`)
	w.call("POST", "/v1.41/images/py:1/tag?tag=2&repo=py&force=0", "")
	w.call("POST", "/v1.41/images/create?tag=1&fromImage=127.0.0.1%3A1%2Fweb", "")
	w.call("POST", "/v1.41/containers/py2/stop?t=0", "")
	w.call("DELETE", "/v1.41/containers/pyin?v=True&link=False&force=True", "")
	w.call("DELETE", "/v1.41/containers/py2?v=False&link=False&force=True", "")
	w.call("DELETE", "/v1.41/images/py:1?force=False&noprune=False", "")
	w.call("DELETE", "/v1.41/networks/py", "")
	w.call("DELETE", "/v1.41/volumes/py?force=False", "")
	w.call("POST", "/v1.41/containers/prune", "")
	w.call("GET", "/v1.41/containers/json?limit=-1&all=1&size=0&trunc_cmd=0&filters=%7B%22label%22%3A+%5B%22a%3Db%22%5D%7D", "")
	return outcome{Out: streams([]byte(out))}
}

// dockerode sends what is for the query in the body too, and options of its own in both.
func dockerode(s *side) outcome {
	fields := []string{"Host: localhost"}
	w := s.wire(append(fields, "Connection: keep-alive")...)
	defer w.close()
	w.call("POST", "/containers/create?name=ode&Image=web%3A1", `{"Hostname":"","User":"","AttachStdin":false,"AttachStdout":true,"AttachStderr":true,"Tty":false,"OpenStdin":true,"StdinOnce":true,"Env":null,"Cmd":["cat"],"Image":"web:1","Volumes":{},"VolumesFrom":[],"name":"ode","HostConfig":{"AutoRemove":false}}`)
	first := make(chan string)
	go func() {
		first <- s.wire(fields...).taken("/containers/ode/attach?stream=true&hijack=true&stdin=true&stdout=true&stderr=true", `{"stream":true,"hijack":true,"stdin":true,"stdout":true,"stderr":true}`, "from dockerode\n")
	}()
	w.call("POST", "/containers/ode/start", "")
	out := <-first
	w.call("POST", "/containers/ode/wait", "")
	w.call("GET", "/containers/ode/logs?stdout=true&follow=false", "")
	w.call("POST", "/containers/create?name=ode2", `{"Image":"web:1","Cmd":["sleep","1000"],"name":"ode2"}`)
	w.call("POST", "/containers/ode2/start", "")
	exec := id(w.call("POST", "/containers/ode2/exec", `{"Cmd":["cat"],"AttachStdin":true,"AttachStdout":true}`))
	out += s.wire(fields...).taken("/exec/"+exec+"/start", `{"hijack":true,"stdin":true}`, "through exec\n")
	w.call("POST", "/containers/ode2/resize?h=10&w=20", `{"h":10,"w":20}`)
	w.call("POST", "/containers/ode2/kill?signal=KILL", `{"signal":"KILL"}`)
	w.call("POST", "/containers/ode2/rename?name=ode3", `{"name":"ode3"}`)
	w.call("POST", "/commit?container=ode3&repo=ode&tag=1", `{"container":"ode3","repo":"ode","tag":"1"}`)
	w.call("POST", "/images/create?fromImage=127.0.0.1%3A1%2Fweb&tag=1", `{"fromImage":"127.0.0.1:1/web","tag":"1"}`)
	w.call("POST", "/images/ode:1/tag?repo=ode&tag=2", `{"repo":"ode","tag":"2"}`)
	w.call("POST", "/containers/prune?filters=%7B%22label%22%3A%5B%22none%22%5D%7D", `{"filters":{"label":["none"]}}`)
	w.call("GET", "/containers/ode3/stats?stream=false", "")
	w.call("DELETE", "/images/ode:1?force=true", "")
	w.call("DELETE", "/images/ode:2?force=true", "")
	w.call("DELETE", "/containers/ode?force=true&v=true", "")
	w.call("DELETE", "/containers/ode3?force=true&v=true", "")
	return outcome{Out: out}
}

// dockerJava writes every key of its classes, and bodies in chunks.
func dockerJava(s *side) outcome {
	w := s.wire("accept: application/json", "Accept-Encoding: gzip, x-gzip, deflate", "Host: localhost:2375", "Connection: keep-alive", "User-Agent: Apache-HttpClient/5.0.3 (Java/11.0.16)")
	defer w.close()
	w.chunked("POST", "/containers/create?name=java", `{"name":null,"Hostname":null,"Domainname":null,"User":"","AttachStdin":null,"AttachStdout":null,"AttachStderr":null,"PortSpecs":null,"Tty":null,"OpenStdin":null,"StdinOnce":null,"Env":null,"Cmd":["true"],"Healthcheck":null,"ArgsEscaped":null,"Entrypoint":null,"Image":"web:1","Volumes":{},"WorkingDir":null,"MacAddress":null,"OnBuild":null,"NetworkDisabled":null,"ExposedPorts":{},"StopSignal":null,"StopTimeout":null,"HostConfig":{"Binds":null,"BlkioWeight":null,"BlkioWeightDevice":null,"BlkioDeviceReadBps":null,"BlkioDeviceWriteBps":null,"BlkioDeviceReadIOps":null,"BlkioDeviceWriteIOps":null,"MemorySwappiness":null,"NanoCpus":null,"Annotations":null,"CapAdd":null,"CapDrop":null,"ContainerIDFile":null,"CpuPeriod":null,"CpuRealtimePeriod":null,"CpuRealtimeRuntime":null,"CpuShares":null,"CpuQuota":null,"CpusetCpus":null,"CpusetMems":null,"Devices":null,"DeviceCgroupRules":null,"DeviceRequests":null,"DiskQuota":null,"Dns":null,"DnsOptions":null,"DnsSearch":null,"ExtraHosts":null,"GroupAdd":null,"IpcMode":null,"Cgroup":null,"Links":null,"LogConfig":null,"LxcConf":null,"Memory":null,"MemorySwap":null,"MemoryReservation":null,"KernelMemory":null,"NetworkMode":null,"OomKillDisable":null,"Init":null,"AutoRemove":null,"OomScoreAdj":null,"PortBindings":null,"Privileged":null,"PublishAllPorts":null,"ReadonlyRootfs":null,"RestartPolicy":null,"Ulimits":null,"CpuCount":null,"CpuPercent":null,"IOMaximumIOps":null,"IOMaximumBandwidth":null,"VolumesFrom":null,"Mounts":null,"PidMode":null,"Isolation":null,"SecurityOpt":null,"StorageOpt":null,"CgroupParent":null,"VolumeDriver":null,"ShmSize":null,"PidsLimit":null,"Runtime":null,"Tmpfs":null,"UTSMode":null,"UsernsMode":null,"Sysctls":null,"ConsoleSize":null,"CgroupnsMode":null},"Labels":null,"Shell":null,"NetworkingConfig":null}`)
	w.call("GET", "/containers/java/json", "")
	w.text("POST", "POST /containers/java/start HTTP/1.1\r\n"+w.fields+"content-type: application/json\r\nContent-Length: 0\r\n\r\n")
	w.chunked("POST", "/containers/java/wait", `{}`)
	w.chunked("POST", "/networks/create", `{"Name":"java","Driver":null,"IPAM":{"Driver":null,"Config":[],"Options":null},"Options":{},"CheckDuplicate":null,"Internal":null,"EnableIPv6":null,"Attachable":null,"Labels":null}`)
	w.chunked("POST", "/networks/java/connect", `{"Container":"java","EndpointConfig":{"IPAMConfig":null,"Links":null,"Aliases":["j"],"NetworkID":null,"EndpointID":null,"Gateway":null,"IPAddress":null,"IPPrefixLen":null,"IPv6Gateway":null,"GlobalIPv6Address":null,"GlobalIPv6PrefixLen":null,"MacAddress":null}}`)
	w.chunked("POST", "/volumes/create", `{"Name":"java","Driver":null,"Labels":null,"DriverOpts":null}`)
	w.chunked("POST", "/containers/java/exec", `{"AttachStdin":null,"AttachStdout":true,"AttachStderr":true,"Tty":null,"Privileged":null,"User":null,"Cmd":["true"],"Env":null,"WorkingDir":null}`)
	w.call("DELETE", "/containers/java?v=true&force=true", "")
	w.call("DELETE", "/networks/java", "")
	w.call("DELETE", "/volumes/java", "")
	return outcome{}
}

// dotNet leaves nothing out either, and upgrades with a body.
func dotNet(s *side) outcome {
	w := s.wire("Host: unix.sock", "User-Agent: Docker.DotNet", "Accept: application/json", "Connection: Keep-Alive")
	defer w.close()
	w.chunked("POST", "/containers/create?name=net", `{"Hostname":"","AttachStdin":false,"OpenStdin":false,"Cmd":["true"],"Image":"web:1","HostConfig":{"ShmSize":0,"Memory":0,"NanoCpus":0,"PidsLimit":0,"Init":false,"RestartPolicy":{"Name":"","MaximumRetryCount":0},"LogConfig":{"Type":"","Config":{}},"Mounts":[],"PortBindings":{}},"NetworkingConfig":{"EndpointsConfig":{}},"Platform":null,"Labels":{}}`)
	w.call("POST", "/containers/net/start", "")
	w.call("DELETE", "/containers/net?v=0&force=1", "")
	return outcome{}
}

// goHostConfig is a HostConfig as a Go client of 20.10 writes it: all fields, most zero.
const goHostConfig = `{"Binds":null,"ContainerIDFile":"","LogConfig":{"Type":"","Config":null},"NetworkMode":"","PortBindings":null,"RestartPolicy":{"Name":"","MaximumRetryCount":0},"AutoRemove":false,"VolumeDriver":"","VolumesFrom":null,"CapAdd":null,"CapDrop":null,"CgroupnsMode":"","Dns":null,"DnsOptions":null,"DnsSearch":null,"ExtraHosts":null,"GroupAdd":null,"IpcMode":"","Cgroup":"","Links":null,"OomScoreAdj":0,"PidMode":"","Privileged":false,"PublishAllPorts":false,"ReadonlyRootfs":false,"SecurityOpt":null,"UTSMode":"","UsernsMode":"","ShmSize":0,"ConsoleSize":[0,0],"Isolation":"","CpuShares":0,"Memory":0,"NanoCpus":0,"CgroupParent":"","BlkioWeight":0,"BlkioWeightDevice":null,"BlkioDeviceReadBps":null,"BlkioDeviceWriteBps":null,"BlkioDeviceReadIOps":null,"BlkioDeviceWriteIOps":null,"CpuPeriod":0,"CpuQuota":0,"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"","Devices":null,"DeviceCgroupRules":null,"DeviceRequests":null,"KernelMemory":0,"KernelMemoryTCP":0,"MemoryReservation":0,"MemorySwap":0,"MemorySwappiness":null,"OomKillDisable":null,"PidsLimit":null,"Ulimits":null,"CpuCount":0,"CpuPercent":0,"IOMaximumIOps":0,"IOMaximumBandwidth":0,"MaskedPaths":null,"ReadonlyPaths":null}`

// goConfig is the rest of a create request.
func goConfig(words string) string {
	return `"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":` + words + `,"Image":"web:1","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null`
}

var goFields = []string{"Host: docker", "User-Agent: Go-http-client/1.1"}

func goClient(s *side) outcome {
	w := s.wire(goFields...)
	defer w.close()
	// A create may come without the parts, with them null, and with them empty.
	w.call("POST", "/v1.41/containers/create?name=go1", `{`+goConfig(`["true"]`)+`,"HostConfig":`+goHostConfig+`,"NetworkingConfig":null}`+"\n")
	w.call("POST", "/v1.41/containers/create?name=go2", `{`+goConfig(`null`)+`,"HostConfig":null,"NetworkingConfig":{"EndpointsConfig":null}}`)
	w.call("POST", "/v1.40/containers/create?name=go3", `{"Image":"web:1"}`)
	w.call("POST", "/v1.41/containers/create?name=go4&platform=", `{"Image":"web:1","Cmd":"true","Entrypoint":"echo"}`)
	w.call("POST", "/v1.41/containers/create", `{`+goConfig(`["true"]`)+`,"HostConfig":{"AutoRemove":true}}`)
	for _, name := range []string{"go1", "go2", "go3", "go4"} {
		w.call("GET", "/v1.41/containers/"+name+"/json", "")
	}
	w.call("POST", "/v1.41/containers/go1/update", `{"CpuShares":0,"Memory":0,"NanoCpus":0,"CgroupParent":"","BlkioWeight":0,"BlkioWeightDevice":null,"BlkioDeviceReadBps":null,"BlkioDeviceWriteBps":null,"BlkioDeviceReadIOps":null,"BlkioDeviceWriteIOps":null,"CpuPeriod":0,"CpuQuota":0,"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"","Devices":null,"DeviceCgroupRules":null,"DeviceRequests":null,"KernelMemory":0,"KernelMemoryTCP":0,"MemoryReservation":0,"MemorySwap":0,"MemorySwappiness":null,"OomKillDisable":null,"PidsLimit":null,"Ulimits":null,"CpuCount":0,"CpuPercent":0,"IOMaximumIOps":0,"IOMaximumBandwidth":0,"RestartPolicy":{"Name":"always","MaximumRetryCount":0}}`)
	w.call("POST", "/v1.41/containers/create?name=bad", `{"Image":""}`)
	w.call("POST", "/v1.41/containers/create?name=bad", "")
	w.call("POST", "/v1.41/containers/create?name=bad", "null")
	w.call("POST", "/v1.41/containers/create?name=bad", "{}")
	w.call("POST", "/v1.41/volumes/create", "{}")
	w.call("POST", "/v1.41/volumes/prune?filters=%7B%7D", "")
	w.call("POST", "/v1.41/auth", `{"username":"who","password":"what","serveraddress":"127.0.0.1:1"}`)
	w.call("GET", "/v1.41/distribution/127.0.0.1:1/web:1/json", "")
	w.call("HEAD", "/_ping", "")
	w.call("OPTIONS", "/v1.41/info", "")
	for _, name := range []string{"go1", "go2", "go3", "go4"} {
		w.call("DELETE", "/v1.41/containers/"+name+"?force=1&v=1", "")
	}
	return outcome{}
}

// traefik had 1.24 in it until 3.6, and follows events.
func traefik(s *side) outcome {
	w := s.wire("Host: docker", "User-Agent: Traefik 2.11.0")
	defer w.close()
	w.call("POST", "/v1.24/containers/create?name=traefik", `{"Image":"web:1","Cmd":["sleep","1000"],"Labels":{"traefik.enable":"true"}}`)
	w.call("POST", "/v1.24/containers/traefik/start", "")
	w.call("GET", "/v1.24/version", "")
	w.call("GET", "/v1.24/containers/json?limit=0", "")
	w.call("GET", "/v1.24/containers/traefik/json", "")
	events := s.wire("Host: docker", "User-Agent: Traefik 2.11.0")
	told := make(chan []byte)
	go func() {
		told <- events.call("GET", "/v1.24/events?filters=%7B%22container%22%3A%7B%22traefik%22%3Atrue%7D%2C%22event%22%3A%7B%22destroy%22%3Atrue%7D%7D&until="+in(2), "")
		events.close()
	}()
	w.call("DELETE", "/v1.37/containers/traefik?force=1", "")
	<-told
	return outcome{}
}

// portainer makes a container from a form, and makes it anew from what inspect says.
func portainer(s *side) outcome {
	w := s.wire("Host: docker", "User-Agent: Go-http-client/1.1", "X-Forwarded-For: 10.0.0.1", "Accept: application/json, text/plain, */*", "Accept-Encoding: gzip, deflate, br", "Referer: http://localhost:9000/")
	defer w.close()
	w.call("GET", "/v1.41/info", "")
	w.call("GET", "/containers/json?all=1", "")
	w.call("GET", "/images/json?all=0", "")
	w.call("GET", "/volumes?filters=%7B%22dangling%22:%5B%22true%22%5D%7D", "")
	w.call("GET", "/networks?filters=%7B%7D", "")
	w.call("POST", "/containers/create?name=tainer", `{"Image":"web:1","Cmd":["sleep","1000"],"Env":["A=1"],"MacAddress":"","ExposedPorts":{"80/tcp":{}},"Entrypoint":null,"Hostname":"","Domainname":"","User":"","WorkingDir":"","OpenStdin":false,"Tty":false,"Volumes":{"/data":{}},"Labels":{},"name":"tainer","HostConfig":{"RestartPolicy":{"Name":"unless-stopped"},"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8081"}]},"PublishAllPorts":false,"Binds":["tainer:/data"],"AutoRemove":false,"NetworkMode":"bridge","Privileged":false,"Init":false,"Runtime":"","ExtraHosts":[],"Dns":[],"Devices":[],"DeviceRequests":[],"CapAdd":["AUDIT_WRITE","CHOWN","DAC_OVERRIDE","FOWNER","FSETID","KILL","MKNOD","NET_BIND_SERVICE","NET_RAW","SETFCAP","SETGID","SETPCAP","SETUID","SYS_CHROOT"],"CapDrop":["AUDIT_CONTROL","BLOCK_SUSPEND","DAC_READ_SEARCH","IPC_LOCK","IPC_OWNER","LEASE","LINUX_IMMUTABLE","MAC_ADMIN","MAC_OVERRIDE","NET_ADMIN","NET_BROADCAST","SYSLOG","SYS_ADMIN","SYS_BOOT","SYS_MODULE","SYS_NICE","SYS_PACCT","SYS_PTRACE","SYS_RAWIO","SYS_RESOURCE","SYS_TIME","SYS_TTY_CONFIG","WAKE_ALARM"],"Sysctls":{},"ShmSize":67108864,"Memory":0,"MemoryReservation":0,"NanoCpus":0},"NetworkingConfig":{"EndpointsConfig":{"bridge":{"IPAMConfig":{"IPv4Address":"","IPv6Address":""}}}}}`)
	w.call("POST", "/containers/tainer/start", `{}`)
	again(w, "tainer")
	w.call("DELETE", "/containers/tainer-old?v=1&force=true", "")
	w.call("DELETE", "/containers/tainer?v=1&force=true", "")
	w.call("DELETE", "/volumes/tainer", "")
	return outcome{}
}

// again makes a container anew from the engine's own description of it.
func again(w *wire, name string) {
	var was struct {
		ID, Image          string
		Config, HostConfig map[string]any
		NetworkSettings    struct{ Networks map[string]any }
	}
	if err := json.Unmarshal(w.call("GET", "/containers/"+name+"/json?size=1", ""), &was); err != nil {
		w.t.Errorf("%s: %v", w.name, err)
		return
	}
	w.call("POST", "/containers/"+name+"/stop?t=0", "")
	w.call("POST", "/containers/"+name+"/rename?name="+name+"-old", "")
	for network := range was.NetworkSettings.Networks {
		w.call("POST", "/networks/"+network+"/disconnect", `{"Container":"`+was.ID+`","Force":true}`)
	}
	if was.Config == nil {
		w.t.Errorf("%s: there is no %s", w.name, name)
		return
	}
	was.Config["HostConfig"] = was.HostConfig
	was.Config["NetworkingConfig"] = map[string]any{"EndpointsConfig": was.NetworkSettings.Networks}
	body, err := json.Marshal(was.Config)
	if err != nil {
		w.t.Error(err)
	}
	w.call("POST", "/containers/create?name="+name, string(body))
	w.call("POST", "/containers/"+name+"/start", "")
	w.call("GET", "/containers/"+name+"/json", "")
}

// watchtower makes anew what has most of what a container can have.
func watchtower(s *side) outcome {
	s.run("docker network create --subnet 10.79.0.0/24 tower", "")
	s.run("docker run -d --name tower --network tower --ip 10.79.0.9 --network-alias t -p 8082:80 --memory 64m --memory-swap -1 --cpus 0.5 --pids-limit 10 --ulimit nofile=100 --health-cmd true --health-interval 1h --read-only --cap-drop all --security-opt no-new-privileges --init --log-opt max-size=1m --tmpfs /scratch --mount type=volume,src=tower,dst=/d,volume-nocopy --device /dev/null:/dev/nothing --sysctl net.ipv4.ip_forward=0 --oom-kill-disable=false --memory-swappiness 0 --restart always web:1 sleep 1000", "")
	w := s.wire(goFields...)
	defer w.close()
	again(w, "tower")
	w.call("DELETE", "/containers/tower-old?v=1&force=true", "")
	w.call("DELETE", "/containers/tower?v=1&force=true", "")
	w.call("DELETE", "/networks/tower", "")
	w.call("DELETE", "/volumes/tower", "")
	return outcome{}
}

// gitlabRunner is a job of the docker executor: a volume, a helper and a build container
// that are attached to before they start and get their script by standard input.
func gitlabRunner(s *side) outcome {
	w := s.wire("Host: docker", "User-Agent: gitlab-runner 15.0.0")
	defer w.close()
	w.call("GET", "/v1.25/info", "")
	w.call("GET", "/v1.25/images/web:1/json", "")
	w.call("POST", "/v1.25/images/create?fromImage=127.0.0.1%3A1%2Fhelper&tag=latest", "")
	w.call("POST", "/v1.25/volumes/create", `{"Driver":"","DriverOpts":null,"Labels":null,"Name":"runner-cache-3c3f060a0374fc8bc39395164f415a70"}`)
	w.call("POST", "/v1.25/networks/create", `{"CheckDuplicate":true,"Driver":"","Scope":"","EnableIPv6":false,"IPAM":null,"Internal":false,"Attachable":false,"Ingress":false,"ConfigOnly":false,"ConfigFrom":null,"Options":{},"Labels":{"com.gitlab.gitlab-runner.managed":"true"},"Name":"runner-net"}`)
	host := strings.NewReplacer(`"Binds":null`, `"Binds":["runner-cache-3c3f060a0374fc8bc39395164f415a70:/cache"]`, `"NetworkMode":""`, `"NetworkMode":"runner-net"`, `"LogConfig":{"Type":"","Config":null}`, `"LogConfig":{"Type":"json-file","Config":null}`).Replace(goHostConfig)
	config := strings.NewReplacer(`"AttachStdin":false`, `"AttachStdin":true`, `"AttachStdout":false`, `"AttachStdout":true`, `"AttachStderr":false`, `"AttachStderr":true`, `"OpenStdin":false`, `"OpenStdin":true`, `"StdinOnce":false`, `"StdinOnce":true`,
		`"Labels":null`, `"Labels":{"com.gitlab.gitlab-runner.job.id":"1"}`, `"Env":null`, `"Env":["CI=true","CI_JOB_ID=1"]`, `"Hostname":""`, `"Hostname":"runner-1-project-2-concurrent-0"`).Replace(goConfig(`["sh","-c","sh"]`))
	created := id(w.call("POST", "/v1.25/containers/create?name=runner-build", `{`+config+`,"HostConfig":`+host+`,"NetworkingConfig":{"EndpointsConfig":{"runner-net":{"IPAMConfig":null,"Links":null,"Aliases":["build"],"NetworkID":"","EndpointID":"","Gateway":"","IPAddress":"","IPPrefixLen":0,"IPv6Gateway":"","GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,"MacAddress":"","DriverOpts":null}}}}`))
	out := make(chan string)
	go func() {
		a := s.wire("Host: docker", "User-Agent: gitlab-runner 15.0.0", "Content-Type: text/plain")
		out <- a.taken("/v1.25/containers/"+created+"/attach?stderr=1&stdin=1&stdout=1&stream=1", "", "echo $CI_JOB_ID; echo done > /cache/file; exit 3\n")
	}()
	w.call("POST", "/v1.25/containers/"+created+"/start", "")
	w.call("POST", "/v1.25/containers/"+created+"/wait", "")
	said := <-out
	w.call("GET", "/v1.25/containers/"+created+"/json", "")
	w.call("POST", "/v1.25/networks/runner-net/disconnect", `{"Container":"`+created+`","Force":true}`)
	w.call("DELETE", "/v1.25/containers/"+created+"?force=1&v=1", "")
	w.call("DELETE", "/v1.25/networks/runner-net", "")
	w.call("DELETE", "/v1.25/volumes/runner-cache-3c3f060a0374fc8bc39395164f415a70?force=1", "")
	return outcome{Out: streams([]byte(said))}
}

// curl is people's scripts: HTTP/1.0, no version, a query that a shell has escaped, and
// whatever is asked for by the way.
func curl(s *side) outcome {
	const fields = "Host: localhost\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nConnection: close\r\n"
	for _, text := range []string{
		"GET /info HTTP/1.0\r\nHost: localhost\r\n\r\n",
		"GET /_ping HTTP/1.0\r\n\r\n",
		"HEAD /_ping HTTP/1.0\r\nConnection: close\r\n\r\n",
		"GET /containers/json?filters={%22name%22:[%22none%22]} HTTP/1.1\r\n" + fields + "\r\n",
		"GET /containers/json?all=true&unknown=1 HTTP/1.1\r\n" + fields + "\r\n",
		"GET /images/search?term=x HTTP/1.1\r\n" + fields + "\r\n",
		"POST /containers/none/start HTTP/1.1\r\n" + fields + "\r\n",
		"POST /containers/none/start HTTP/1.1\r\n" + fields + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		"GET /containers/none/json HTTP/1.1\r\n" + fields + "\r\n",
		"GET /containers/web/json HTTP/1.1\r\nhost: localhost\r\nconnection: Close\r\nACCEPT: */*\r\n\r\n",
		"DELETE /containers/none HTTP/1.1\r\n" + fields + "\r\n",
	} {
		if _, err := s.ask(text); err != nil {
			s.t.Errorf("%s: %v: %q", s.name, err, text)
		}
	}
	return outcome{}
}
