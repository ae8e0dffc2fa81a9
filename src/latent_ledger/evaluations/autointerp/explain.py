"""One explanation per latent, from its training examples, with delphi's default prompt.

The prompt shows the examples of ``train`` with activations from 0 to 10, and marks the tokens above
0.3 of the largest activation. An answer without ``[EXPLANATION]:`` is no explanation: this scorer
then does not score the latent, and the status keeps the reason.
"""

import asyncio
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
    latents = read(examples)
    name, explained = asyncio.run(_explain(latents, settings["scorer"], cache, log))
    texts = [text for text, _ in explained]
    columns = {
        "latent": pa.array([latent.latent for latent in latents], pa.int64()),
        "explanation": pa.array(texts, pa.string()),
        "status": pa.array([status for _, status in explained], pa.string()),
    }
    table(Path(out) / EXPLANATIONS, columns)
    return {
        "scorer": name,
        "latents": len(latents),
        "explained": sum(text is not None for text in texts),
    }


async def _explain(
    latents: list[Scorable], settings: Mapping[str, Any], cache: Path | None, log: Path | None
) -> tuple[str, list[tuple[str | None, str]]]:
    """The scorer's name, and per latent its explanation (or None) and status."""
    with Progress("explain", total=len(latents), unit="latent") as progress:
        async with opening.open_client(settings, cache, log) as client:

            async def explain_one(latent: Scorable) -> tuple[str | None, str]:
                strict = strict_client.StrictClient(client, strict_client.explanation)
                explainer = DefaultExplainer(
                    strict, threshold=MARKED, temperature=settings.get("temperature", 0.0)
                )
                result = await explainer(latent.record)
                progress.update(1)
                if strict.failures:
                    return None, UNPARSED if strict.unparsed else UNANSWERED
                return result.explanation, EXPLAINED

            return client.name, await asyncio.gather(*map(explain_one, latents))
