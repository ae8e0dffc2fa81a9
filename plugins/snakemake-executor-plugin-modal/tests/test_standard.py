"""Snakemake's standard executor tests, as the official executor plugins run them."""

from __future__ import annotations

import signal

import modal
import pytest
import snakemake
from local_modal import LocalModal
from snakemake.common.tests import TestWorkflowsLocalStorageBase
from snakemake.settings.types import ResourceSettings
from snakemake_executor_plugin_modal import ExecutorSettings

pytestmark = pytest.mark.slow


@pytest.fixture
def executor_settings(tmp_path, monkeypatch):
    """Settings for a local Modal server; afterwards this process is as it was before."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"snakemake=={snakemake.__version__}\n")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.chdir(tmp_path)
    with LocalModal(tmp_path / "modal") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.volume("standard")
        yield ExecutorSettings(volume="standard", images=[f"default={lock}"], poll_seconds=0.1)
        modal.Client.from_env().close()  # the next server has another port
        assert {sandbox.status for sandbox in server.sandboxes} == {"SUCCESS"}
    for number, handler in handlers.items():
        signal.signal(number, handler)


class TestWorkflows(TestWorkflowsLocalStorageBase):
    """The base class's workflows: a chain of rules, and group jobs."""

    __test__ = True
    latency_wait = 0

    @pytest.fixture(autouse=True)
    def _settings(self, executor_settings) -> None:
        self.settings = executor_settings

    def get_executor(self) -> str:
        return "modal"

    def get_executor_settings(self) -> ExecutorSettings:
        return self.settings

    def get_resource_settings(self) -> ResourceSettings:
        """Memory for rule c, which declares 5 MB: in a Sandbox Snakemake itself needs more."""
        return ResourceSettings(overwrite_resources={"c": {"mem_mb": 400}})

    def get_assume_shared_fs(self) -> bool:
        return False
