"""`client.volumes` and `Volume`."""

from ground import Steps, refused

STEPS = step = Steps()


def without_place(attrs):
    """A volume's document without the engine's own folder."""
    return {key: value for key, value in attrs.items() if key not in ("Mountpoint", "CreatedAt")}


@step
def create_get_reload_remove(ground):
    volumes = ground.client.volumes
    made = volumes.create("v1", driver="local", labels={"a": "b"})
    again = volumes.create("v1")
    anonymous = volumes.create()
    seen = [without_place(made.attrs), made.name, made.short_id, again.attrs["Labels"], len(anonymous.name), anonymous.attrs["Labels"]]
    made.reload()
    seen.append(without_place(volumes.get("v1").attrs))
    anonymous.remove()
    made.remove()
    return seen, refused(lambda: volumes.get("v1")), refused(made.remove), made.remove(force=True)


@step
def options_that_cannot_be(ground):
    create = ground.client.volumes.create
    return refused(lambda: create("not a name")), refused(lambda: create("vx", driver="nope")), \
        refused(lambda: create("vx", driver_opts={"nope": "1"}))


@step
def a_volume_of_tmpfs(ground):
    made = ground.client.volumes.create("vt", driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})
    output = ground.client.containers.run(ground.image, ["sh", "-c", "df -k /v | tail -1 | awk '{print $2}'"], remove=True,
                                          network_mode="none", volumes={"vt": {"bind": "/v"}})
    attrs = without_place(made.attrs)
    made.remove()
    return output, attrs


@step
def a_volume_in_use_stays(ground):
    made = ground.client.volumes.create("used")
    ground.start("uses", volumes={"used": {"bind": "/v"}})
    return refused(made.remove), refused(lambda: made.remove(force=True))


@step
def list_filters(ground):
    volumes = ground.client.volumes
    for number in "12":
        volumes.create(f"f{number}", labels={"n": number})
    ground.start("uses-f1", volumes={"f1": {"bind": "/v"}})

    def names(**filters):
        return sorted(found.name for found in volumes.list(filters=filters))

    return names(name="f"), names(label="n=2"), names(label="n", dangling=True), names(dangling=False), names(driver="local", name="f1"), \
        names(driver="nope"), refused(lambda: names(nope="1"))


@step
def prune_takes_what_nobody_uses(ground):
    volumes = ground.client.volumes
    volumes.prune(filters={"all": True})
    volumes.create("named", labels={"n": "1"})
    volumes.create()
    anonymous = volumes.prune()
    left = sorted(found.name for found in volumes.list())
    return len(anonymous["VolumesDeleted"]), anonymous["SpaceReclaimed"], left, volumes.prune(filters={"all": True, "label": "n=2"}), \
        volumes.prune(filters={"all": True}), refused(lambda: volumes.prune({"nope": "1"}))
