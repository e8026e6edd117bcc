"""The client itself: events, df, info, version, ping, and the families that need a swarm."""

import threading
import time

import docker

from ground import Steps, kinds, refused

STEPS = step = Steps()


@step
def ping_and_version(ground):
    version = ground.client.version()
    return ground.client.ping(), sorted(version), [component["Name"] for component in version["Components"]][:1], version["Os"], \
        ground.client.version(api_version=False)["Arch"]


@step
def versions_are_negotiated(ground):
    seen = {}
    for asked in ("1.24", "1.30", "1.40", "1.44", "auto"):
        with_version = docker.APIClient(base_url=ground.url, version=asked)
        seen[asked] = with_version.ping() if asked != "1.24" else refused(with_version.ping)
    return seen["1.40"], seen["1.44"], seen["auto"], refused(lambda: docker.APIClient(base_url=ground.url, version="1.99").info())


@step
def info_has_every_field(ground):
    info = ground.client.info()
    return kinds({key: value for key, value in info.items() if key not in ("Containerd", "Runtimes", "DriverStatus", "Warnings", "CDISpecDirs", "FirewallBackend", "DiscoveredDevices")})


@step
def df_adds_up(ground):
    ground.client.volumes.create("counted")
    ground.start("heavy", ["sh", "-c", "dd if=/dev/zero of=/v/file bs=1024 count=64 2>/dev/null; dd if=/dev/zero of=/own bs=1024 count=32 2>/dev/null; sleep 1000"],
                 volumes={"counted": {"bind": "/v"}})
    time.sleep(1)
    usage = ground.client.df()
    images = [image for image in usage["Images"] if ground.image in (image["RepoTags"] or [])]
    return sorted(usage), [(image["Containers"], image["SharedSize"]) for image in images], \
        [(c["Names"], c["SizeRw"]) for c in usage["Containers"]], \
        [(v["Name"], v["UsageData"]) for v in usage["Volumes"]], usage["BuildCache"], kinds(usage["LayersSize"])


@step
def events_as_they_come(ground):
    since = int(time.time())
    stream = ground.client.events(decode=True, filters={"type": "container"})
    seen = []

    def listen():
        for event in stream:
            seen.append((event["Action"], event["status"], event["from"], event["scope"], event["Type"], sorted(event["Actor"]["Attributes"])))
            if event["Action"] == "destroy":
                break

    listener = threading.Thread(target=listen)
    listener.start()
    made = ground.start("told", "true")
    made.wait()
    made.remove()
    listener.join(60)
    stream.close()
    until = int(time.time()) + 1
    time.sleep(1.2)
    kept = [event["Action"] for event in ground.client.events(decode=True, since=since, until=until, filters={"container": "told"})]
    return seen, kept, refused(lambda: list(ground.client.events(filters={"nope": "1"}, until=1))), \
        refused(lambda: list(ground.client.events(since="x", until=1)))


@step
def the_swarm_family_is_refused(ground):
    client = ground.client
    return [refused(call) for call in (
        client.nodes.list, client.services.list, client.secrets.list, client.configs.list, lambda: client.api.tasks(),
        lambda: client.swarm.reload(), lambda: client.swarm.leave(), client.swarm.get_unlock_key,
        lambda: client.secrets.get("x"), lambda: client.services.get("x"),
    )]


@step
def plugins_are_none(ground):
    return ground.client.plugins.list(), refused(lambda: ground.client.plugins.get("nope"))
