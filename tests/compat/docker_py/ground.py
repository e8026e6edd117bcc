"""What every step stands on: a client, an image, and how what it saw becomes facts that two engines can share."""

import json
import re
import sys
import traceback

import docker
import requests

ID = re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")


# The newest version that Debian's Docker speaks.
VERSION = "1.45"


class Steps(list):
    """The steps of one module, in the order they are written."""

    def __call__(self, function):
        self.append(function)
        return function


class Ground:
    """One engine, seen through docker-py."""

    def __init__(self, socket, archive, registry):
        self.url = f"unix://{socket}"
        self.client = docker.DockerClient(base_url=self.url, timeout=300, version=VERSION)
        self.archive = archive
        self.registry = registry
        self.image = "localhost/py:1"

    def start(self, name, command="sleep 1000", **options):
        """A container that runs, without a network unless one is asked for."""
        options.setdefault("network_mode", "none")
        return self.client.containers.run(self.image, command, name=name, detach=True, **options)

    def run(self, steps):
        for step in steps:
            name = f"{step.__module__}/{step.__name__}"
            try:
                tell(name, step(self))
            except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
                tell(name + "/raises", refusal(error))
            except Exception:  # noqa: BLE001: a surprise is a fact, too, and the other steps still tell theirs
                tell(name + "/surprise", traceback.format_exc().splitlines()[-1])
            self.clear()

    def clear(self):
        """Containers go after each step, so that names are free and the next one is alone."""
        for container in self.client.containers.list(all=True, ignore_removed=True):
            try:
                container.remove(force=True, v=True)
            except docker.errors.APIError:
                pass


def refusal(error):
    """An error as facts: its class, status and words."""
    status = getattr(error, "status_code", None)
    words = getattr(error, "explanation", None) or str(error)
    return {"class": type(error).__name__, "status": status, "words": words}


def refused(call):
    """The refusal that `call` must end with."""
    try:
        return {"not refused": call()}
    except docker.errors.DockerException as error:
        return refusal(error)


def tell(key, value):
    for name, leaf in leaves(key, value):
        sys.stdout.write(f"{name}\t{json.dumps(leaf)}\n")
    sys.stdout.flush()


def leaves(key, value):
    """A document's leaves with what never repeats made neutral."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        value = TIME.sub("TIME", ID.sub("ID", value))
    if isinstance(value, dict) and value:
        for name in sorted(value):
            yield from leaves(f"{key}/{TIME.sub('TIME', ID.sub('ID', str(name)))}", value[name])
    elif isinstance(value, (list, tuple)) and value:
        for at, item in enumerate(value):
            yield from leaves(f"{key}/{at}", item)
    else:
        yield key, value


def kinds(value):
    """Each leaf's type in place of its value: for counters and times."""
    if isinstance(value, dict):
        return {name: kinds(item) for name, item in value.items()}
    if isinstance(value, list):
        return [kinds(item) for item in value]
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__
