"""Goes through docker-py's own API against one engine and prints what it saw, one fact a line: KEY<TAB>JSON.

    python docker_py SOCKET ARCHIVE REGISTRY

ARCHIVE is an image as `docker save` writes it, with a shell; REGISTRY a registry that wants a login. The caller runs it
against two engines and compares the lines.
"""

import sys

import containers
import images
import networks
import streams
import system
import volumes
from ground import Ground

if __name__ == "__main__":
    ground = Ground(*sys.argv[1:4])
    for part in (images, containers, streams, volumes, networks, system):
        ground.run(part.STEPS)
