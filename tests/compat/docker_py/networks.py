"""`client.networks` and `Network`."""

from docker.types import IPAMConfig, IPAMPool

from ground import Steps, refused

STEPS = step = Steps()


def shown(network):
    """A network's document without what is its own alone."""
    network.reload()
    return {key: value for key, value in network.attrs.items() if key != "Created"}


def pool(subnet, **more):
    return IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, **more)])


@step
def create_get_remove(ground):
    networks = ground.client.networks
    made = networks.create("n1", labels={"a": "b"}, ipam=pool("10.71.0.0/24", gateway="10.71.0.1"), internal=True, attachable=True,
                           options={"com.docker.network.bridge.name": "n1br"})
    seen = [made.name, made.short_id, shown(made), networks.get("n1").id == made.id, networks.get(made.id, verbose=True, scope="local").name]
    made.remove()
    return seen, refused(lambda: networks.get("n1")), refused(made.remove)


@step
def networks_that_cannot_be(ground):
    create = ground.client.networks.create
    made = create("taken", ipam=pool("10.72.0.0/24"))
    seen = [
        refused(lambda: create("taken")), refused(lambda: create("")), refused(lambda: create("nx", driver="nope")),
        refused(lambda: create("nx", ipam=pool("10.72.0.0/25")))["status"], refused(lambda: create("nx", ipam=pool("not an address"))),
        refused(lambda: create("nx", ipam=pool("10.73.0.0/24", gateway="10.74.0.1"))), refused(lambda: create("bridge")),
        refused(lambda: create("nx", scope="swarm")), refused(ground.client.networks.get("bridge").remove),
    ]
    made.remove()
    return seen


@step
def connect_and_disconnect(ground):
    made = ground.client.networks.create("n2", ipam=pool("10.75.0.0/24"))
    container = ground.start("joins", network_mode="bridge")
    made.connect(container, aliases=["alias"], ipv4_address="10.75.0.9", links=None)
    made.reload()
    inside = container.exec_run(["sh", "-c", "ip -4 -o addr | grep -c 10.75.0.9"]).output
    container.reload()
    endpoint = container.attrs["NetworkSettings"]["Networks"]["n2"]
    seen = [
        [found.name for found in made.containers], bool(inside), endpoint["IPAMConfig"], endpoint["Aliases"], endpoint["DNSNames"],
        refused(lambda: made.connect(container)), refused(made.remove)["status"], refused(lambda: made.connect("nobody")),
    ]
    made.disconnect(container)
    made.reload()
    seen += [made.containers, refused(lambda: made.disconnect(container)), refused(lambda: made.disconnect("nobody", force=True))]
    made.remove()
    return seen


@step
def names_answer_on_a_network(ground):
    made = ground.client.networks.create("n3")
    ground.start("server", network="n3", network_mode=None, hostname="server-host")
    output = ground.client.containers.run(ground.image, ["sh", "-c", "ping -c 1 -w 30 server >/dev/null && echo reached"], network="n3", remove=True)
    ground.clear()
    made.remove()
    return output


@step
def list_filters(ground):
    networks = ground.client.networks
    made = [networks.create(f"f{number}", labels={"n": number}) for number in "12"]

    def names(**options):
        return sorted(found.name for found in networks.list(**options))

    seen = [
        names(), names(names=["f1"]), names(ids=[made[1].id]), names(filters={"label": "n=2"}), names(filters={"driver": "bridge"}),
        names(filters={"type": "builtin"}), names(filters={"type": "custom"}), names(filters={"scope": "local"}),
        names(filters={"dangling": True}), names(filters={"name": "f"}), refused(lambda: names(filters={"nope": "1"})),
        refused(lambda: names(filters={"type": "nope"})), len(networks.list(greedy=True)),
    ]
    for network in made:
        network.remove()
    return seen


@step
def prune_takes_what_nobody_uses(ground):
    networks = ground.client.networks
    for number in "12":
        networks.create(f"p{number}", labels={"n": number})
    return networks.prune(filters={"label": "n=1"}), networks.prune(filters={"until": "24h"}), networks.prune(), networks.prune(), \
        refused(lambda: networks.prune({"nope": "1"}))
