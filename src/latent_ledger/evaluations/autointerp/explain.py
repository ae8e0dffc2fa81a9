"""One explanation per latent, from its training examples, with delphi's default prompt.

The prompt shows the examples of ``train`` with activations from 0 to 10, and marks the tokens above
0.3 of the largest activation. An answer without ``[EXPLANATION]:`` is no explanation: this scorer
then does not score the latent, and the status keeps the reason.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from latent_ledger.evaluations.autointerp import strict_client
from latent_ledger.evaluations.autointerp.delphi_io import DefaultExplainer
from latent_ledger.evaluations.autointerp.protocol import MARKED
from latent_ledger.evaluations.autointerp.records import Scorable, read, table
from latent_ledger.lib.progress import Progress
from latent_ledger.scorers import opening

EXPLANATIONS = "explanations.parquet"
COLUMNS = pa.schema({"latent": pa.int64(), "explanation": pa.string(), "status": pa.string()})
EXPLAINED, UNPARSED, UNANSWERED = "explained", "explanation not parsed", "explanation not answered"


def produce(
    settings: Mapping[str, Any],
    examples: Path,
    out: Path,
    cache: Path | None = None,
    log: Path | None = None,
) -> dict[str, Any]:
    """Write ``explanations.parquet`` into `out`: latent, explanation, status.

    `settings`: scorer (of :func:`latent_ledger.scorers.opening.open_client`). `examples`: a
    payload of :mod:`~.records`. `cache`: folder of answers that outlives the job. `log`: file for
    the output of a server that the scorer starts. Returns facts.
    """
    latents, temperature = read(examples), settings["scorer"].get("temperature", 0.0)
    client = opening.open_client(settings["scorer"], cache, log)

    async def explain(latent: Scorable) -> dict[str, Any]:
        strict = strict_client.StrictClient(client, strict_client.explanation)
        explainer = DefaultExplainer(strict, threshold=MARKED, temperature=temperature)
        explanation, status = (await explainer(latent.record)).explanation, EXPLAINED
        if strict.failures:
            explanation, status = None, UNPARSED if strict.unparsed else UNANSWERED
        return {"latent": latent.latent, "explanation": explanation, "status": status}

    progress = Progress("explain", total=len(latents), unit="latent")
    rows = strict_client.ask_all(progress, client, latents, explain)
    table(Path(out) / EXPLANATIONS, pa.Table.from_pylist(rows, COLUMNS))
    explained = sum(row["explanation"] is not None for row in rows)
    return {"scorer": client.name, "latents": len(rows), "explained": explained}
