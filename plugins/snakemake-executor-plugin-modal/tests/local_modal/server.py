"""The server itself: Modal's two gRPC services and a little HTTP, in a thread of the caller."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path

import modal
from aiohttp import web
from grpclib.server import Server
from modal_proto import api_pb2
from modal_proto.api_grpc import ModalClientBase
from modal_proto.task_command_router_grpc import TaskCommandRouterBase

from .container import Containers
from .faults import Faults
from .logs import LogService
from .objects import Objects
from .router_service import RouterService
from .rpc import Bound, Gate
from .sandbox_service import SandboxService
from .volume_service import VolumeService
from .world import GPUS, Image, Sandbox, World

MAX_BLOCK = 64 << 20  # bytes of one HTTP upload


class LocalModal:
    """A Modal server on localhost, alive inside its `with` block; see the package's docstring.

    `root` gets everything the server writes. `python` stands for the interpreter of every image,
    `image_environment` holds variables that every image sets (e.g. PYTHONPATH). `rates` answers
    billing.rates() (refused if empty); `page` Sandboxes come per list call.
    """

    def __init__(
        self,
        root: Path,
        *,
        python: str = sys.executable,
        image_environment: Mapping[str, str] | None = None,
        gpus: tuple[str, ...] = GPUS,
        rates: Mapping[str, str] | None = None,
        page: int = 50,
    ) -> None:
        self.world = World(
            root=Path(root).resolve(),
            python=python,
            image_environment=dict(image_environment or {}),
            gpus=gpus,
            rates=dict(rates or {}),
            page=page,
        )
        for folder in ("volumes", "sandboxes", "blobs"):
            (self.world.root / folder).mkdir(parents=True, exist_ok=True)
        self._gate = Gate(self.world.token, self.world.access, self.world.faults)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="local-modal")
        self._port = 0
        self._grpc: HangingUp | None = None

    def __enter__(self) -> LocalModal:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # What a test sets and looks at

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make a client process talk to this server."""
        token_id, token_secret = self.world.token
        return {
            "MODAL_SERVER_URL": self.world.grpc,
            "MODAL_TOKEN_ID": token_id,
            "MODAL_TOKEN_SECRET": token_secret,
            "MODAL_CONFIG_PATH": str(self.world.root / "no-modal.toml"),
            "MODAL_DISABLE_API_PROXY": "1",
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def faults(self) -> Faults:
        """What is to go wrong; append to its lists."""
        return self.world.faults

    @property
    def sandboxes(self) -> list[Sandbox]:
        """Every Sandbox ever created, oldest first."""
        return list(self.world.sandboxes.values())

    @property
    def images(self) -> list[Image]:
        """Every image layer ever asked for, oldest first; equal definitions are one."""
        return list(self.world.images.values())

    @property
    def rpc_counts(self) -> Counter[str]:
        """How often each RPC was called so far."""
        return Counter(self._gate.counts)

    def volume(self, name: str) -> Path:
        """The folder with the committed content of the Volume `name` (made if it is missing)."""
        return self.world.volume(name).folder

    def secret(self, name: str, **values: str) -> None:
        """Define a Secret, as a person would on Modal's web page."""
        self.world.secret(name, values)

    @contextlib.contextmanager
    def client(self, token: tuple[str, str] | None = None) -> Iterator[modal.Client]:
        """A client for the calling process; other processes take `environment`."""
        kind = api_pb2.CLIENT_TYPE_CLIENT
        with modal.Client(self.world.grpc, kind, token or self.world.token) as client:
            yield client

    @contextlib.contextmanager
    def unreachable(self) -> Iterator[None]:
        """Inside, the server hangs up and accepts no connection; its Sandboxes go on."""
        self._call(self._hang_up())
        try:
            yield
        finally:
            self._call(self._listen())

    # Inside the thread

    def _call(self, work: Coroutine) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        self._containers = Containers(self.world)
        volumes = VolumeService(self.world)
        sandboxes = SandboxService(self.world, self._containers)
        modal_services = [Objects(self.world), LogService(self.world), volumes, sandboxes]
        self._services = [
            Bound(ModalClientBase, modal_services, self._gate),
            Bound(TaskCommandRouterBase, [RouterService(self.world)], self._gate),
        ]
        application = web.Application(client_max_size=MAX_BLOCK)
        application.add_routes([*volumes.routes(), *sandboxes.routes()])
        self._http = web.AppRunner(application, access_log=None)
        await self._http.setup()
        listening = _socket()
        self.world.http = f"http://127.0.0.1:{listening.getsockname()[1]}"
        await web.SockSite(self._http, listening).start()
        await self._listen()

    async def _listen(self) -> None:
        listening = _socket(self._port)
        self._port = listening.getsockname()[1]
        self.world.grpc = f"http://127.0.0.1:{self._port}"
        self._grpc = HangingUp(self._services)
        await self._grpc.start(sock=listening)

    async def _hang_up(self) -> None:
        self._grpc.close()
        await self._grpc.wait_closed()

    async def _close(self) -> None:
        await self._containers.close()
        await self._hang_up()
        await self._http.cleanup()


class HangingUp(Server):
    """A grpclib server whose close() ends the connections too, as that of a lost machine."""

    def __init__(self, services: list[Bound]) -> None:
        super().__init__(services)
        self._protocols: weakref.WeakSet = weakref.WeakSet()

    def _protocol_factory(self):
        protocol = super()._protocol_factory()
        self._protocols.add(protocol)
        return protocol

    def close(self) -> None:
        """Stop listening, cancel what is being answered, and hang up."""
        super().close()
        for protocol in self._protocols:
            if hasattr(protocol, "connection"):
                protocol.connection.close()


def _socket(port: int = 0) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    return listening
