"""An event loop in a separate thread, so that Snakemake's threads never wait for Modal."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any


class Background:
    """Runs coroutines beside the main thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True, name="modal")
        self.thread.start()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Start a coroutine and return at once."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def wait_for(self, coroutine: Coroutine[Any, Any, Any], seconds: float | None = None) -> Any:
        """Run a coroutine and return its result; raises TimeoutError after `seconds`."""
        return self.start(coroutine).result(timeout=seconds)
