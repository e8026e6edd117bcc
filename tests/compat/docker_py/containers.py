"""`client.containers` and `Container`: every method but those that carry streams."""

import time
from docker.types import DeviceRequest, Healthcheck, LogConfig, Mount, Ulimit

from ground import Steps, kinds, refused

STEPS = step = Steps()


@step
def create_leaves_a_container_created(ground):
    made = ground.client.containers.create(ground.image, "true", name="made", labels={"a": "b"}, network_mode="none")
    return made.name, made.status, made.labels, made.short_id, made.image.tags, made.ports, made.health


@step
def run_answers_with_output(ground):
    run = ground.client.containers.run
    return (
        run(ground.image, "echo out", remove=True, network_mode="none"),
        # Docker mixes the two streams in any order.
        b"".join(sorted(run(ground.image, ["sh", "-c", "echo out; echo err >&2"], stderr=True, remove=True,
                            network_mode="none").splitlines(True))),
        run(ground.image, ["sh", "-c", "echo out; echo err >&2"], stdout=False, stderr=True, remove=True,
            network_mode="none"),
        list(run(ground.image, "seq 3", stream=True, remove=True, network_mode="none")),
    )


@step
def run_raises_what_a_container_failed_with(ground):
    run = ground.client.containers.run
    return (
        refused(lambda: run(ground.image, ["sh", "-c", "echo why >&2; exit 3"], name="why", network_mode="none")),
        refused(lambda: run(ground.image, "no-such-program", name="no-program", network_mode="none")),
        refused(lambda: ground.client.containers.create("localhost/no-such-image:1", "true")),
        refused(lambda: ground.client.containers.get("no-such-container")),
    )


@step
def run_takes_every_option(ground):
    """Those which change what inspect shows, without kernels and hosts that not every machine has."""
    made = ground.client.containers.create(
        ground.image, ["sleep", "9"], name="all", auto_remove=False, blkio_weight=None, cap_add=["NET_ADMIN"],
        cap_drop=["CHOWN"], cgroupns="private", cpu_period=100000, cpu_quota=50000, cpu_shares=512, cpuset_cpus="0",
        device_cgroup_rules=["c 1:3 rwm"], devices=["/dev/null:/dev/nil:rwm"], dns=["10.0.0.1"], dns_opt=["ndots:1"],
        dns_search=["example.org"], domainname="example.org", entrypoint=["/bin/sh", "-c"], environment={"A": "1"},
        extra_hosts={"other": "10.0.0.2"}, group_add=["7"], hostname="host", init=True, ipc_mode="private",
        labels=["one", "two"], mem_limit="64m", mem_reservation="32m", mem_swappiness=None, memswap_limit="128m",
        network_mode="none", oom_score_adj=5, pids_limit=50, privileged=False, publish_all_ports=False,
        read_only=True, restart_policy={"Name": "on-failure", "MaximumRetryCount": 2}, security_opt=["no-new-privileges"],
        shm_size="1m", stdin_open=True, stop_signal="SIGUSR1", storage_opt=None, sysctls={"net.core.somaxconn": "99"},
        tmpfs={"/t": "size=1m"}, tty=True, ulimits=[Ulimit(name="nofile", soft=10, hard=20)], user="daemon",
        userns_mode="", volumes={"vol": {"bind": "/v", "mode": "ro"}}, working_dir="/tmp",
        healthcheck=Healthcheck(test=["CMD", "true"], interval=10**9, timeout=10**9, retries=2, start_period=10**9),
        log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m"}),
        mounts=[Mount("/m", "vol2", type="volume", read_only=True, no_copy=True)],
    )
    shown = made.attrs
    return {"Config": shown["Config"], "HostConfig": shown["HostConfig"], "Mounts": sorted(m["Destination"] for m in shown["Mounts"])}


@step
def options_that_cannot_be(ground):
    create = ground.client.containers.create
    return (
        refused(lambda: create(ground.image, mem_limit="1k")),
        refused(lambda: create(ground.image, cpuset_cpus="999")),
        refused(lambda: create(ground.image, restart_policy={"Name": "sometimes"})),
        refused(lambda: create(ground.image, restart_policy={"Name": "always", "MaximumRetryCount": 3})),
        refused(lambda: create(ground.image, working_dir="relative")),
        refused(lambda: create(ground.image, name="not a name")),
        refused(lambda: create(ground.image, volumes={"/no/such/folder": {"bind": "relative"}})),
        refused(lambda: create(ground.image, network_mode="container:nobody").start()),
        refused(lambda: create(ground.image, network_mode="none", stop_signal="SIGNOPE")),
        refused(lambda: create(ground.image, log_config=LogConfig(type="nope"))),
        refused(lambda: create(ground.image, device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])]).start()),
    )


@step
def a_life(ground):
    made = ground.client.containers.create(ground.image, "sleep 1000", name="life", network_mode="none", stop_signal="KILL")
    seen = [made.status]
    for verb in ("start", "pause", "unpause", "restart", "stop"):
        getattr(made, verb)(**({"timeout": 1} if verb in ("restart", "stop") else {}))
        made.reload()
        seen.append((verb, made.status))
    made.start()
    made.kill()
    seen.append(made.wait(timeout=60))
    made.start()
    made.kill(signal="SIGTERM")
    made.kill(9)
    seen.append(made.wait(condition="not-running"))
    made.rename("other")
    made.reload()
    seen.append((made.name, made.status, made.attrs["RestartCount"]))
    made.remove(v=True)
    seen.append(refused(made.reload))
    return seen


@step
def verbs_at_the_wrong_time(ground):
    made = ground.client.containers.create(ground.image, "sleep 1000", name="idle", network_mode="none")
    seen = [refused(verb) for verb in (made.pause, made.unpause, made.kill, made.top)]
    seen.append(refused(lambda: made.exec_run("true")))
    made.start()
    seen += [refused(made.unpause), refused(made.remove), refused(lambda: made.kill("NOPE"))]
    made.pause()
    seen += [refused(made.pause), refused(lambda: made.exec_run("true")), refused(lambda: made.rename("idle"))]
    return seen


@step
def update_changes_limits(ground):
    made = ground.start("updated")
    answer = made.update(mem_limit="64m", memswap_limit="128m", cpu_shares=256, restart_policy={"Name": "always"})
    made.reload()
    host = made.attrs["HostConfig"]
    return answer, [host[key] for key in ("Memory", "MemorySwap", "CpuShares", "RestartPolicy")]


@step
def list_filters(ground):
    for number in "123":
        ground.start(f"l{number}", labels={"n": number})
    ground.client.containers.get("l1").kill()
    ground.client.containers.get("l1").wait()

    def names(**options):
        return sorted(found.name for found in ground.client.containers.list(**options))

    filters = [
        {"label": "n=2"}, {"label": ["n"]}, {"status": "exited"}, {"status": ["running", "exited"]}, {"name": "l[12]"},
        {"exited": 137}, {"ancestor": ground.image}, {"since": "l2"}, {"before": "l2"}, {"network": "none"},
        {"volume": "none"}, {"health": "none"}, {"is-task": False}, {"expose": "80"}, {"publish": "80"},
        {"id": ground.client.containers.get("l3").id[:5]},
    ]
    seen = [(str(list(each)), names(all=True, filters=each)) for each in filters]
    seen += [names(), names(all=True, limit=1), names(since="l1"), names(before="l3")]
    seen.append(len(ground.client.containers.list(all=True, sparse=True)))
    seen += [refused(lambda: names(filters={"nope": "1"})), refused(lambda: names(filters={"status": "nope"}))]
    return seen


@step
def prune_takes_what_has_ended(ground):
    for number in "12":
        ended = ground.start(f"p{number}", "true", labels={"n": number})
        ended.wait()
    ground.start("p3")
    prune = ground.client.containers.prune
    return (
        len(prune(filters={"label": "n=1"})["ContainersDeleted"]),
        prune(filters={"until": "24h"}), len(prune()["ContainersDeleted"]), prune(), refused(lambda: prune({"nope": "1"})),
    )


@step
def top_diff_stats(ground):
    made = ground.start("watched", ["sh", "-c", "echo x >/new; mkdir /dir; rm /etc/group; echo done; exec sleep 1000"])
    next(made.logs(stream=True))
    stats = made.stats(stream=False)
    streamed = made.stats(decode=True, stream=True)
    top = made.top()
    return (
        top["Titles"], [row[-1] for row in top["Processes"]], made.top(ps_args="-o pid,comm")["Titles"],
        sorted((change["Path"], change["Kind"]) for change in made.diff()), sorted(stats), kinds(stats["memory_stats"].get("limit")),
        sorted(next(streamed)), sorted(next(streamed)["cpu_stats"]),
    )


@step
def health_is_seen(ground):
    made = ground.start("healthy", healthcheck={"test": ["CMD-SHELL", "echo well"], "interval": 10**9})
    for _ in range(1800):
        made.reload()
        if made.health == "healthy":
            break
        time.sleep(0.1)
    health = made.attrs["State"]["Health"]
    listed = ground.client.api.containers(filters={"health": "healthy"})
    return made.health, health["FailingStreak"], health["Log"][-1]["ExitCode"], health["Log"][-1]["Output"], len(listed)
