"""`client.images`, `Image` and `RegistryData`."""

import io

from ground import Steps, refused

STEPS = step = Steps()
LOGIN = {"username": "sailor", "password": "secret"}


@step
def load_answers_with_images(ground):
    with open(ground.archive, "rb") as archive:
        loaded = ground.client.images.load(archive)
    return [image.tags for image in loaded], refused(lambda: ground.client.images.load(b"no archive at all"))


@step
def get_and_properties(ground):
    image = ground.client.images.get(ground.image)
    image.reload()
    return image.tags, image.labels, image.short_id, sorted(image.attrs), \
        [sorted(entry) for entry in image.history()], refused(lambda: ground.client.images.get("localhost/nope:1"))


@step
def tag_and_remove(ground):
    image = ground.client.images.get(ground.image)
    seen = [image.tag("localhost/second", tag="2"), image.tag("localhost/third")]
    image.reload()
    seen.append(sorted(image.tags))
    ground.client.images.remove("localhost/second:2")
    ground.client.images.remove("localhost/third", noprune=True)
    image.reload()
    return seen, image.tags, refused(lambda: ground.client.images.remove("localhost/second:2")), \
        refused(lambda: image.tag("Not A Name"))


@step
def an_image_in_use_stays(ground):
    ground.start("user")
    image = ground.client.images.get(ground.image)
    return refused(lambda: ground.client.images.remove(image.id)), ground.client.images.get(ground.image).tags


@step
def list_filters(ground):
    image = ground.client.images.get(ground.image)
    image.tag("localhost/other", "1")

    def tags(**options):
        return sorted(sorted(found.tags) for found in ground.client.images.list(**options))

    seen = [
        tags(), tags(all=True), tags(name="localhost/other"), tags(name="localhost/nope"), tags(filters={"dangling": True}),
        tags(filters={"label": "a.label"}), tags(filters={"label": "a.label=nope"}), tags(filters={"reference": "localhost/*"}),
        tags(filters={"before": "localhost/other:1"}), tags(filters={"since": "localhost/other:1"}),
        tags(filters={"until": "2001-01-01T00:00:00Z"}), refused(lambda: tags(filters={"nope": "1"})),
        refused(lambda: tags(filters={"dangling": "perhaps"})), refused(lambda: tags(filters={"before": "localhost/nope:1"})),
    ]
    ground.client.images.remove("localhost/other:1")
    return seen


@step
def save_and_load_again(ground):
    image = ground.client.images.get(ground.image)
    archive = b"".join(image.save(named=True))
    loaded = ground.client.images.load(archive)
    bare = ground.client.images.load(b"".join(image.save()))
    return [found.tags for found in loaded], [found.id == image.id for found in bare], \
        refused(lambda: b"".join(ground.client.api.get_image("localhost/nope:1")))


@step
def import_makes_an_image(ground):
    pieces = b"".join(ground.client.containers.create(ground.image, "true").export())
    answer = ground.client.api.import_image_from_data(pieces, repository="localhost/imported", tag="1")
    image = ground.client.images.get("localhost/imported:1")
    output = ground.client.containers.run(image, "echo imported", remove=True, network_mode="none")
    comment = image.attrs["Comment"]
    image.remove(force=True)
    return len(answer.splitlines()), output, comment


@step
def login_tells_good_from_bad(ground):
    login = ground.client.login
    return login(registry=ground.registry, **LOGIN), \
        refused(lambda: login(registry=ground.registry, username="sailor", password="wrong", reauth=True)), \
        refused(lambda: login(registry="127.0.0.1:1", username="a", password="b", reauth=True))


@step
def push_pull_and_ask_a_registry(ground):
    name = f"{ground.registry}/pushed"
    images = ground.client.images
    images.get(ground.image).tag(name, "1")
    images.get(ground.image).tag(name, "2")
    pushed = list(images.push(name, tag="1", auth_config=LOGIN, stream=True, decode=True))
    images.push(name, tag="2", auth_config=LOGIN)
    denied = [line["error"] for line in images.push(name, tag="1", auth_config={"username": "x", "password": "y"}, stream=True, decode=True) if "error" in line]
    told = images.get_registry_data(f"{name}:1", auth_config=LOGIN)
    seen = [
        pushed[0], sorted(pushed[-1]), denied, told.attrs["Platforms"], sorted(told.attrs["Descriptor"]),
        told.has_platform("linux/amd64"), told.has_platform("plan9/amd64"),
    ]
    for tag in "12":
        images.remove(f"{name}:{tag}")
    seen.append(images.pull(name, tag="1", auth_config=LOGIN).tags)
    seen.append(sorted(sum((image.tags for image in images.pull(name, all_tags=True, auth_config=LOGIN)), [])))
    lines = list(ground.client.api.pull(name, "1", stream=True, decode=True, auth_config=LOGIN))
    seen += [lines[0], lines[-1], refused(lambda: images.pull(name, tag="nope", auth_config=LOGIN))]
    seen.append(refused(lambda: images.pull(name, tag="1", auth_config={"username": "x", "password": "y"})))
    seen.append(refused(lambda: images.get_registry_data(f"{name}:nope", auth_config=LOGIN)))
    for tag in "12":
        images.remove(f"{name}:{tag}")
    return seen


@step
def prune_takes_what_nobody_names(ground):
    dangling = ground.client.api.import_image_from_data(io.BytesIO().read() or tar(), repository=None)
    before = len(ground.client.images.list(filters={"dangling": True}))
    pruned = ground.client.images.prune()
    return len(dangling.splitlines()), before, [sorted(entry) for entry in pruned["ImagesDeleted"]], \
        ground.client.images.prune(filters={"dangling": True}), ground.client.images.prune(filters={"until": "24h"}), \
        refused(lambda: ground.client.images.prune(filters={"nope": "1"})), ground.client.images.get(ground.image).tags


@step
def prune_builds(ground):
    return ground.client.images.prune_builds()


def tar():
    """An archive with one file."""
    from streams import tar_of

    return tar_of("file", b"x")
