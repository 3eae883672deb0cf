"""What a program of yapapi's needs to run on a local node: where to look for images."""

import os

from yapapi.payload import vm

# yapapi takes the address of the registry from nowhere but this argument.
vm.repo.__kwdefaults__["repository_url"] = os.environ["GOLEM_REGISTRY_URL"]

IMAGE_TAG = "kiln/simple_service:latest"
PROGRAMS = "/golem/run"


async def payload():
    return await vm.repo(image_tag=IMAGE_TAG, min_mem_gib=0.5, min_storage_gib=2.0)
