"""Modal's services as plain Python methods, behind a gate for tokens, counts and faults.

A service is any object with methods named like the RPCs: `async def Name(self, request)` returns
the reply, and an async generator of the same name streams replies. An RPC without a method answers
UNIMPLEMENTED with its name, so that a client that needs a new RPC names it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from grpclib import GRPCError, Status
from grpclib.const import Cardinality, Handler

from .faults import Faults


class Gate:
    """Counts every call, injects the RPC faults, and lets only the right token pass."""

    def __init__(self, token: tuple[str, str], access: str, faults: Faults) -> None:
        self.token = token
        self.access = access  # the token of the task command router
        self.faults = faults
        self.counts: Counter[str] = Counter()

    async def enter(self, name: str, metadata) -> None:
        """Raise the GRPCError this call deserves, if any."""
        self.counts[name] += 1
        fault = self.faults.rpc(name)
        if fault:
            await asyncio.sleep(fault.delay)
            if fault.status:
                raise GRPCError(fault.status, fault.message)
        if metadata.get("authorization") == f"Bearer {self.access}":
            return
        given = metadata.get("x-modal-token-id"), metadata.get("x-modal-token-secret")
        if given != self.token:
            message = "Token validation failed: the token ID or secret is wrong."
            raise GRPCError(Status.UNAUTHENTICATED, message)


class Bound:
    """A grpclib service: the RPCs of `base`, answered by whichever of `services` has the method."""

    def __init__(self, base: type, services: list[object], gate: Gate) -> None:
        self._base = base
        self._services = services
        self._gate = gate

    def __mapping__(self) -> dict[str, Handler]:
        nothing = dict.fromkeys(self._base.__abstractmethods__)
        declared = type("Declared", (self._base,), nothing)().__mapping__()
        return {
            path: handler._replace(func=self._call(path.rpartition("/")[2], handler.cardinality))
            for path, handler in declared.items()
        }

    def _call(self, name: str, cardinality: Cardinality) -> Callable:
        methods = [getattr(service, name) for service in self._services if hasattr(service, name)]

        async def call(stream) -> None:
            await self._gate.enter(name, stream.metadata)
            if not methods:
                message = f"the local Modal server does not implement {name}"
                raise GRPCError(Status.UNIMPLEMENTED, message)
            request = await stream.recv_message()
            if cardinality is Cardinality.UNARY_UNARY:
                await stream.send_message(await methods[0](request))
            else:
                async for reply in methods[0](request):
                    await stream.send_message(reply)

        return call
