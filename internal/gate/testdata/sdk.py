# What a script does with docker-py, in the order of its documentation.
import io, tarfile
import docker

d = docker.from_env()
print(d.ping(), d.version()["ApiVersion"])
print(d.containers.run("web:1", ["sh", "-c", "sleep 1; echo by python"], remove=True, name="py-run"))
network = d.networks.create("py-net", labels={"a": "b"}, ipam=docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet="10.81.0.0/24")]))
volume = d.volumes.create("py-vol", labels={"a": "b"})
c = d.containers.run(
    "web:1", "sleep 100000", detach=True, name="py", hostname="py", network="py-net", environment={"A": "1"}, labels=["x"],
    ports={"80/tcp": ("127.0.0.1", 8091)}, volumes={"py-vol": {"bind": "/v", "mode": "rw"}}, tmpfs={"/t": "size=1m"},
    mem_limit="64m", nano_cpus=500000000, pids_limit=50, ulimits=[docker.types.Ulimit(name="nofile", soft=100, hard=200)],
    cap_drop=["ALL"], security_opt=["no-new-privileges"], read_only=True, init=True, restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
    healthcheck={"test": ["CMD", "true"], "interval": 3600 * 10**9}, log_config=docker.types.LogConfig(type="json-file", config={"max-size": "1m"}),
    extra_hosts={"other": "10.0.0.1"}, dns=["10.0.0.2"], sysctls={"net.ipv4.ip_forward": 0}, group_add=["7"], stop_signal="SIGKILL", user="0")
print(c.status, c.attrs["Config"]["Labels"], sorted(c.attrs["NetworkSettings"]["Ports"] or {}))
# docker-py loses what comes together with the head of an answer.
def late(command):
    return ["sh", "-c", "sleep 1; " + command]
print(c.exec_run(late("echo inside"), environment=["B=2"], workdir="/v"))
print(c.exec_run(late("echo out; echo err >&2; exit 3"), demux=True))
print(b"".join(c.exec_run(late("echo streamed"), stream=True)[1]))
pack = io.BytesIO()
with tarfile.open(fileobj=pack, mode="w") as t:
    info = tarfile.TarInfo("put.txt")
    info.size = 4
    t.addfile(info, io.BytesIO(b"put\n"))
print(c.put_archive("/v", pack.getvalue()))
parts, stat = c.get_archive("/v/put.txt")
print(stat["name"], stat["size"], len(b"".join(parts)))
print(c.logs(), c.diff() is None, len(c.top()["Processes"]))
print(sorted(c.stats(stream=False))[:3])
c.update(mem_limit="128m", memswap_limit="128m")
c.rename("py2")
c.pause(); c.unpause()
d.networks.get("bridge").connect(c, aliases=None)
network.disconnect(c)
c.commit("py-image", tag="1", changes="CMD true")
image, log = d.images.build(fileobj=io.BytesIO(b"FROM web:1\nRUN echo built\nLABEL made=py\n"), tag="py-image:2", rm=True)
print(image.tags, image.labels)
d.images.get("py-image:1").tag("py-image", "3")
print([len(i.history()) for i in [image]], len(b"".join(image.save(named=True))) > 0)
for what in [lambda: d.containers.get("none"), lambda: d.images.pull("127.0.0.1:1/none", tag="1"), lambda: d.containers.create("web:1", name="py2"),
             lambda: d.containers.run("127.0.0.1:1/none:1"), lambda: d.volumes.get("none"), lambda: d.containers.run("web:1", "no-such-program", remove=True, name="py-bad")]:
    try:
        what()
    except docker.errors.DockerException as e:
        print(type(e).__name__, e)
c.restart(timeout=0)
c.stop(timeout=0)
print(c.wait())
c.remove(v=True, force=True)
for tag in ["1", "2", "3"]:
    d.images.remove("py-image:" + tag)
network.remove()
volume.remove()
print(d.containers.list(all=True), d.df()["LayersSize"] > 0)
