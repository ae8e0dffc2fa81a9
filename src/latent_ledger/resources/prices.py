"""Dated table of prices: the file that the Modal executor plugin carries.

It is read where the plugin is installed, else where the checkout has it, and never imported: the
plugin's package needs Modal's client, an estimate does not.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from latent_ledger.lib.errors import LedgerError

PACKAGE, FILE = "snakemake_executor_plugin_modal", "prices.yaml"
CHECKOUT = Path(__file__).parents[3] / "plugins/snakemake-executor-plugin-modal/src" / PACKAGE


@dataclass(frozen=True)
class Prices:
    """USD per second of each GPU, of a CPU core and of a GiB of memory, and their date."""

    date: str
    gpus: Mapping[str, float]
    cpu_core: float
    memory_gib: float

    def cost(self, seconds: float, gpu: str | None, gpus: int, cores: int, mem_mb: float) -> float:
        """USD of a job. A LedgerError names a GPU without a price."""
        if gpus and gpu not in self.gpus:
            raise LedgerError(
                f"There is no price for the GPU {gpu}: add it to {FILE} of {PACKAGE}, which has "
                f"{', '.join(self.gpus)}."
            )
        rate = gpus * self.gpus[gpu] if gpus and gpu else 0.0
        # mem_mb is in units of 10^6 bytes, memory is sold by GiB
        rate += cores * self.cpu_core + mem_mb * 1e6 / 1024**3 * self.memory_gib
        return seconds * rate


@cache
def prices() -> Prices:
    """The current table. A LedgerError says what to do where it is absent or damaged."""
    path = _path()
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
        usd = table["per_second"]
        return Prices(str(table["date"]), dict(usd["gpu"]), usd["cpu_core"], usd["memory_gib"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise LedgerError(
            f"No prices in {path} ({type(error).__name__}): run envs/setup.sh, which installs the "
            "plugin that carries them."
        ) from None


def _path() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return next((Path(f, FILE) for f in folders if Path(f, FILE).is_file()), CHECKOUT / FILE)
