package api

import (
	"slices"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// The table. A row is method, pattern, class, effect, body, answer, judge, query.
// The documents of the API have most of it; what they leave out (routes of
// checkpoints, /grpc, /build/cancel and /debug, some parameters) is what the
// engine's own routers register and read, from 19.03 to 29. What clients send and
// no engine of these versions reads is marked so.
var table = slices.Concat(containerRoutes, imageRoutes, objectRoutes, swarmRoutes, systemRoutes)

var (
	none = Body{Kind: None}
	tar  = Body{Kind: Tar}
	raw  = Body{Kind: Raw}
)

var containerRoutes = []Endpoint{
	route("GET", "/containers/json", Containers, Read, none, Plain, ByClass, "all filters limit size"),
	route("POST", "/containers/create", Containers, Mutate, jsonOf[ContainerCreateBody](), Plain, ContainerCreate, "name platform:41-"),
	route("POST", "/containers/prune", Containers, Mutate, none, Plain, Ending, "filters"),
	route("DELETE", "/containers/{id}", Containers, Mutate, none, Plain, Ending, "force link v"),
	route("GET", "/containers/{id}/changes", Containers, Read, none, Plain, ByClass, ""),
	route("GET", "/containers/{id}/json", Containers, ReadSensitive, none, Plain, ByClass, "size"),
	route("GET", "/containers/{id}/logs", Containers, ReadSensitive, none, Stream, ByClass, "details follow format since stderr stdout tail timestamps until"),
	route("GET", "/containers/{id}/stats", Containers, Read, none, Stream, ByClass, "one-shot:41- stream"),
	// The command lines of processes.
	route("GET", "/containers/{id}/top", Containers, ReadSensitive, none, Plain, ByClass, "ps_args"),
	route("POST", "/containers/{id}/kill", Containers, Mutate, none, Plain, Ending, "signal"),
	route("POST", "/containers/{id}/pause", Containers, Mutate, none, Plain, ByClass, ""),
	route("POST", "/containers/{id}/rename", Containers, Mutate, none, Plain, ContainerRename, "name"),
	route("POST", "/containers/{id}/resize", Containers, Mutate, none, Plain, ByClass, "h w"),
	route("POST", "/containers/{id}/restart", Containers, Mutate, none, Plain, ContainerStart, "signal:42- t"),
	route("POST", "/containers/{id}/start", Containers, Mutate, none, Plain, ContainerStart, "checkpoint checkpoint-dir detachKeys"),
	route("POST", "/containers/{id}/stop", Containers, Mutate, none, Plain, Ending, "signal:42- t"),
	route("POST", "/containers/{id}/unpause", Containers, Mutate, none, Plain, ContainerStart, ""),
	route("POST", "/containers/{id}/update", Containers, Mutate, jsonOf[ContainerUpdateBody](), Plain, ContainerUpdate, ""),
	route("POST", "/containers/{id}/wait", Containers, Read, none, Stream, ByClass, "condition"),

	// hijack is dockerode's own.
	route("POST", "/containers/{id}/attach", Attach, Mutate, raw, Hijack, AttachStart, "detachKeys hijack logs stderr stdin stdout stream"),
	// A GET that writes to the container's input. Before 1.42 the engine takes all
	// three streams, whatever the query says of them.
	route("GET", "/containers/{id}/attach/ws", Attach, Mutate, raw, Hijack, AttachStart, "detachKeys logs stderr stdin stdout stream"),

	route("POST", "/containers/{id}/exec", Exec, Mutate, jsonOf[ExecCreateBody](), Plain, ExecCreate, ""),
	route("POST", "/exec/{id}/start", Exec, Mutate, jsonOf[ExecStartBody](), Hijack, ExecStart, ""),
	route("POST", "/exec/{id}/resize", Exec, Mutate, none, Plain, ByClass, "h w"),
	route("GET", "/exec/{id}/json", Exec, ReadSensitive, none, Plain, ByClass, ""),

	route("GET", "/containers/{id}/archive", Archive, ReadSensitive, none, Stream, ArchiveGet, "path"),
	route("HEAD", "/containers/{id}/archive", Archive, ReadSensitive, none, Plain, ArchiveGet, "path"),
	route("PUT", "/containers/{id}/archive", Archive, Mutate, tar, Plain, ArchivePut, "copyUIDGID noOverwriteDirNonDir path"),
	route("GET", "/containers/{id}/export", Archive, ReadSensitive, none, Stream, ArchiveGet, ""),
	// Engines up to 25 still register it, and refuse it from 1.24 on.
	route("POST", "/containers/{id}/copy", Archive, ReadSensitive, none, Stream, ArchiveGet, "").between(12, 23),

	route("POST", "/commit", Commit, Mutate, jsonOf[workload.Config](), Plain, CommitImage, "author changes* comment container pause repo tag"),

	// Only of an experimental engine; dir is a folder of the host.
	route("GET", "/containers/{id}/checkpoints", Checkpoints, ReadSensitive, none, Plain, ByClass, "dir"),
	route("POST", "/containers/{id}/checkpoints", Checkpoints, Mutate, jsonOf[CheckpointBody](), Plain, ByClass, ""),
	route("DELETE", "/containers/{id}/checkpoints/{checkpoint}", Checkpoints, Mutate, none, Plain, ByClass, "dir"),
}

var imageRoutes = []Endpoint{
	route("GET", "/images/json", Images, Read, none, Plain, ByClass, "all digests filter filters identity:54- manifests:47- shared-size:42-"),
	route("GET", "/images/search", Images, Read, none, Plain, ByClass, "filters limit term"),
	route("GET", "/images/get", Images, ReadSensitive, none, Stream, ByClass, "names* platform*:48-"),
	route("GET", "/images/{name...}/get", Images, ReadSensitive, none, Stream, ByClass, "platform*:48-"),
	route("GET", "/images/{name...}/history", Images, Read, none, Plain, ByClass, "platform:48-"),
	route("GET", "/images/{name...}/json", Images, Read, none, Plain, ByClass, "manifests:48- platform:49-"),
	route("GET", "/images/{name...}/attestations", Images, Read, none, Plain, ByClass, "platform*:55- statement:55- type*:55-").between(55, Newest),
	route("POST", "/images/create", Images, Mutate, tar, Stream, ImagePull, "changes* fromImage fromSrc message platform repo tag"),
	route("POST", "/images/load", Images, Mutate, tar, Stream, ImageLoad, "platform*:48- quiet"),
	route("POST", "/images/prune", Images, Mutate, none, Plain, Ending, "filters"),
	route("POST", "/images/{name...}/push", Images, Mutate, none, Stream, ImagePush, "platform:46- tag"),
	// force went with 1.24; docker-py and docker-java still send it.
	route("POST", "/images/{name...}/tag", Images, Mutate, none, Plain, ImageTag, "force repo tag"),
	route("DELETE", "/images/{name...}", Images, Mutate, none, Plain, Ending, "force noprune platforms*:50-"),
	// The engine asks a registry for it, with the credentials of the request.
	route("GET", "/distribution/{name...}/json", Distribution, ReadSensitive, none, Plain, ByClass, ""),

	route("POST", "/build", Build, Mutate, tar, Stream, ImageBuild, "buildargs buildid cachefrom cgroupparent cpuperiod cpuquota cpusetcpus cpusetmems cpushares dockerfile extrahosts* forcerm "+
		"isolation labels memory memswap networkmode nocache outputs platform pull q remote rm securityopt* session shmsize squash t* target ulimits version"),
	route("POST", "/build/cancel", Build, Mutate, none, Plain, Ending, "id"),
	route("POST", "/build/prune", Build, Mutate, none, Plain, Ending, "all filters keep-storage:-51 max-used-space:48- min-free-space:48- reserved-space:48-"),
	// Both become cleartext HTTP/2 by 101 Switching Protocols.
	route("POST", "/grpc", BuildKit, Mutate, raw, Hijack, ByClass, ""),
	route("POST", "/session", BuildKit, Mutate, raw, Hijack, ByClass, ""),
}

var objectRoutes = []Endpoint{
	route("GET", "/volumes", Volumes, Read, none, Plain, ByClass, "filters"),
	route("POST", "/volumes/create", Volumes, Mutate, jsonOf[VolumeCreateBody](), Plain, VolumeCreate, ""),
	route("POST", "/volumes/prune", Volumes, Mutate, none, Plain, Ending, "filters"),
	route("GET", "/volumes/{name...}", Volumes, Read, none, Plain, ByClass, ""),
	route("PUT", "/volumes/{name...}", Volumes, Mutate, jsonOf[VolumeUpdateBody](), Plain, VolumeUpdate, "version").between(42, Newest),
	route("DELETE", "/volumes/{name...}", Volumes, Mutate, none, Plain, Ending, "force"),

	route("GET", "/networks", Networks, Read, none, Plain, ByClass, "filters"),
	route("GET", "/networks/", Networks, Read, none, Plain, ByClass, "filters"),
	route("POST", "/networks/create", Networks, Mutate, jsonOf[NetworkCreateBody](), Plain, NetworkCreate, ""),
	route("POST", "/networks/prune", Networks, Mutate, none, Plain, Ending, "filters"),
	route("GET", "/networks/{id...}", Networks, Read, none, Plain, ByClass, "scope verbose"),
	route("POST", "/networks/{id...}/connect", Networks, Mutate, jsonOf[NetworkConnectBody](), Plain, NetworkConnect, ""),
	route("POST", "/networks/{id...}/disconnect", Networks, Mutate, jsonOf[NetworkDisconnectBody](), Plain, NetworkConnect, ""),
	route("DELETE", "/networks/{id...}", Networks, Mutate, none, Plain, Ending, ""),

	route("GET", "/plugins", Plugins, Read, none, Plain, ByClass, "filters"),
	// The engine asks a registry for it.
	route("GET", "/plugins/privileges", Plugins, ReadSensitive, none, Plain, ByClass, "remote"),
	route("GET", "/plugins/{name...}/json", Plugins, Read, none, Plain, ByClass, ""),
	route("POST", "/plugins/create", Plugins, Mutate, tar, Plain, ByClass, "name"),
	route("POST", "/plugins/pull", Plugins, Mutate, jsonOf[PluginPrivileges](), Stream, ByClass, "name remote"),
	// Removed or disabled, a plugin that authorizes requests no longer does.
	route("DELETE", "/plugins/{name...}", Plugins, Mutate, none, Plain, ByClass, "force"),
	route("POST", "/plugins/{name...}/disable", Plugins, Mutate, none, Plain, ByClass, "force"),
	route("POST", "/plugins/{name...}/enable", Plugins, Mutate, none, Plain, ByClass, "timeout"),
	route("POST", "/plugins/{name...}/push", Plugins, Mutate, none, Stream, ByClass, ""),
	route("POST", "/plugins/{name...}/set", Plugins, Mutate, jsonOf[PluginSettings](), Plain, ByClass, ""),
	route("POST", "/plugins/{name...}/upgrade", Plugins, Mutate, jsonOf[PluginPrivileges](), Stream, ByClass, "remote"),
}

var swarmRoutes = []Endpoint{
	// The tokens for joining.
	route("GET", "/swarm", Swarm, ReadSensitive, none, Plain, ByClass, ""),
	route("GET", "/swarm/unlockkey", Swarm, ReadSensitive, none, Plain, ByClass, ""),
	route("POST", "/swarm/init", Swarm, Mutate, jsonOf[SwarmInitBody](), Plain, ByClass, ""),
	route("POST", "/swarm/join", Swarm, Mutate, jsonOf[SwarmJoinBody](), Plain, ByClass, ""),
	route("POST", "/swarm/leave", Swarm, Mutate, none, Plain, ByClass, "force"),
	route("POST", "/swarm/unlock", Swarm, Mutate, jsonOf[SwarmUnlockBody](), Plain, ByClass, ""),
	route("POST", "/swarm/update", Swarm, Mutate, jsonOf[SwarmSpec](), Plain, ByClass, "rotateManagerToken rotateManagerUnlockKey rotateWorkerToken version"),
	route("GET", "/nodes", Swarm, Read, none, Plain, ByClass, "filters"),
	route("GET", "/nodes/{id}", Swarm, Read, none, Plain, ByClass, ""),
	route("DELETE", "/nodes/{id}", Swarm, Mutate, none, Plain, ByClass, "force"),
	route("POST", "/nodes/{id}/update", Swarm, Mutate, jsonOf[NodeSpec](), Plain, ByClass, "version"),

	// Services and tasks tell the environment of their containers.
	route("GET", "/services", Services, ReadSensitive, none, Plain, ByClass, "filters status:41-"),
	route("POST", "/services/create", Services, Mutate, jsonOf[ServiceSpec](), Plain, ServiceCreate, ""),
	route("GET", "/services/{id}", Services, ReadSensitive, none, Plain, ByClass, "insertDefaults"),
	route("DELETE", "/services/{id}", Services, Mutate, none, Plain, Ending, ""),
	route("GET", "/services/{id}/logs", Services, ReadSensitive, none, Stream, ByClass, "details follow since stderr stdout tail timestamps"),
	route("POST", "/services/{id}/update", Services, Mutate, jsonOf[ServiceSpec](), Plain, ServiceUpdate, "registryAuthFrom rollback version"),
	route("GET", "/tasks", Services, ReadSensitive, none, Plain, ByClass, "filters"),
	route("GET", "/tasks/{id}", Services, ReadSensitive, none, Plain, ByClass, ""),
	route("GET", "/tasks/{id}/logs", Services, ReadSensitive, none, Stream, ByClass, "details follow since stderr stdout tail timestamps"),

	route("GET", "/secrets", Secrets, ReadSensitive, none, Plain, ByClass, "filters"),
	route("POST", "/secrets/create", Secrets, Mutate, jsonOf[SecretSpec](), Plain, ByClass, ""),
	route("GET", "/secrets/{id}", Secrets, ReadSensitive, none, Plain, ByClass, ""),
	route("DELETE", "/secrets/{id}", Secrets, Mutate, none, Plain, Ending, ""),
	route("POST", "/secrets/{id}/update", Secrets, Mutate, jsonOf[SecretSpec](), Plain, ByClass, "version"),
	// Configs come with their content, in the list too.
	route("GET", "/configs", Configs, ReadSensitive, none, Plain, ByClass, "filters"),
	route("POST", "/configs/create", Configs, Mutate, jsonOf[ConfigSpec](), Plain, ByClass, ""),
	route("GET", "/configs/{id}", Configs, ReadSensitive, none, Plain, ByClass, ""),
	route("DELETE", "/configs/{id}", Configs, Mutate, none, Plain, Ending, ""),
	route("POST", "/configs/{id}/update", Configs, Mutate, jsonOf[ConfigSpec](), Plain, ByClass, "version"),
}

var systemRoutes = []Endpoint{
	route("GET", "/_ping", System, Read, none, Plain, Free, ""),
	route("HEAD", "/_ping", System, Read, none, Plain, Free, ""),
	route("GET", "/version", System, Read, none, Plain, Free, ""),
	route("OPTIONS", "/{path...}", System, Read, none, Plain, Free, ""),
	route("GET", "/info", System, Read, none, Plain, ByClass, ""),
	route("GET", "/events", System, Read, none, Stream, ByClass, "filters since until"),
	route("GET", "/system/df", System, ReadSensitive, none, Plain, ByClass, "type*:42- verbose:52-"),
	// The engine logs in where the body says.
	route("POST", "/auth", System, Mutate, jsonOf[AuthBody](), Plain, ByClass, ""),

	route("GET", "/debug/vars", Debug, ReadSensitive, none, Plain, ByClass, ""),
	route("GET", "/debug/pprof/", Debug, ReadSensitive, none, Plain, ByClass, ""),
	route("GET", "/debug/pprof/cmdline", Debug, ReadSensitive, none, Plain, ByClass, ""),
	route("GET", "/debug/pprof/profile", Debug, ReadSensitive, none, Stream, ByClass, "seconds"),
	route("GET", "/debug/pprof/symbol", Debug, ReadSensitive, none, Plain, ByClass, ""),
	route("GET", "/debug/pprof/trace", Debug, ReadSensitive, none, Stream, ByClass, "seconds"),
	route("GET", "/debug/pprof/{name}", Debug, ReadSensitive, none, Stream, ByClass, "debug gc seconds"),
}
