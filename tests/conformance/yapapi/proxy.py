"""A network of two instances that serve: each reaches the other, and a TCP proxy on this side reaches both."""

import asyncio
import socket
from datetime import datetime, timedelta, timezone

from yapapi import Golem
from yapapi.contrib.service.socket_proxy import SocketProxy, SocketProxyService
from yapapi.payload import vm
from yapapi.services import ServiceState

from local_node import PATIENCE, PROGRAMS, payload, until

PORT = 7000
ADDRESSES = ["192.168.7.10", "192.168.7.11"]


class Peer(SocketProxyService):
    remote_ports = [PORT]

    def __init__(self, name: str):
        super().__init__()
        self.name = name
        self.others = asyncio.Event()
        self.heard = None

    @staticmethod
    async def get_payload():
        return await payload("kiln/peer:latest", capabilities=[vm.VM_CAPS_VPN])

    async def start(self):
        async for script in super().start():
            yield script
        script = self._ctx.new_script(timeout=PATIENCE)
        script.run(f"{PROGRAMS}/peer", "serve", self.name, str(PORT))
        yield script

    async def run(self):
        await self.others.wait()
        [other] = [address for address in ADDRESSES if address != self.network_node.ip]
        script = self._ctx.new_script(timeout=PATIENCE)
        asked = script.run(f"{PROGRAMS}/peer", "ask", other, str(PORT), f"hello from {self.name}")
        yield script
        self.heard = (await asked).stdout.strip()
        # Until the cluster is stopped.
        await asyncio.Future()


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


async def ask(port, lines):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    answers = []
    for line in lines:
        writer.write(f"{line}\n".encode())
        answers.append((await reader.readline()).decode().strip())
    writer.close()
    return answers


async def main():
    async with Golem(budget=1.0, subnet_tag="public") as golem:
        network = await golem.create_network("192.168.7.0/24")
        async with network:
            cluster = await golem.run_service(
                Peer,
                network=network,
                network_addresses=ADDRESSES,
                instance_params=[{"name": "one"}, {"name": "two"}],
                expiration=datetime.now(timezone.utc) + timedelta(minutes=20),
            )

            def are_running():
                assert not [one.exc_info for one in cluster.instances if one.exc_info != (None, None, None)]
                return [one.state for one in cluster.instances] == [ServiceState.running] * 2

            await until(are_running, "two instances")
            one, two = sorted(cluster.instances, key=lambda instance: instance.name)
            for instance in (one, two):
                instance.others.set()
            await until(lambda: one.heard and two.heard, "answers")
            print(f"one: {one.heard}; two: {two.heard}")

            ports = free_ports(2)
            proxy = SocketProxy(ports=ports)
            await proxy.run(cluster)
            for instance in cluster.instances:
                server = proxy.get_server(instance, PORT)
                await until(lambda: server._running, "a proxy")
                answers = asyncio.wait_for(ask(server.local_port, ["a", "b" * 100_000]), 60)
                first, second = await answers
                assert second == f"{instance.name} heard {'b' * 100_000}", second[:100]
                print(f"through the proxy: {first}")
            await proxy.stop()
            cluster.stop()
            over = lambda: all(one.state == ServiceState.terminated for one in cluster.instances)
            await until(over, "the end")


asyncio.run(main())
