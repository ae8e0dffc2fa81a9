"""The memory plan of one scorer: the GPUs it fits on, alone and with the model under study.

It predicts, before money is spent, a failure of the reference ledger: its 7B scorer did not start
on a 24 GB GPU next to the resident model. It is arithmetic: see
:mod:`latent_ledger.resources.memory`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latent_ledger.resources.devices import Gpu
from latent_ledger.resources.memory import DEFAULT_SHARE, Served, fit, resident
from latent_ledger.resources.transformer import Architecture
from latent_ledger.statistics.records import Records


def produce(settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write ``metrics.json`` of one scorer into `out`; returns its facts, with every reason.

    `settings`: scorer and model (source, dtype, architecture as a dict), max_model_len, share (of
    the GPU's memory) and gpus (all numbers of each). GiB throughout.
    """
    scorer, model = settings["scorer"], settings["model"]
    served = Served(
        Architecture(**scorer["architecture"]), scorer["dtype"], settings["max_model_len"]
    )
    held = resident(Architecture(**model["architecture"]), model["dtype"])
    records, why = Records(out, resamples=0, seed=0), []
    for name, size, meaning in (
        ("needed", served.needed, "weights, cache of one prompt and working memory"),
        ("weights", served.weights, "weights of the scorer"),
        ("kv_sequence", served.sequence, "keys and values of one prompt of full length"),
        ("resident", held, "what a process with the model under study holds"),
    ):
        records.add(name, size, unit="GiB", n=1, higher_is_better=False, description=meaning)
    for gpu in (Gpu(**numbers) for numbers in settings["gpus"]):
        beside = fit(served, gpu, None, held)
        alone = fit(served, gpu, settings["share"])
        why.append({"gpu": gpu.name, "beside": beside.why, "alone": alone.why})
        for name, value, unit, meaning in (
            ("total", gpu.memory_gib, "GiB", "memory that CUDA reports"),
            ("free_beside_model", beside.free, "GiB", "free beside the model under study"),
            ("guard", DEFAULT_SHARE * gpu.memory_gib, "GiB", "what vLLM asks for by default"),
            ("fits_beside_model", beside.fits, "", "1 if some share works beside the model"),
            ("fits_alone", alone.fits, "", "1 if the configured share works on an empty GPU"),
            ("sequences_alone", alone.sequences, "prompt", "prompts of full length at a time"),
        ):
            text = f"{meaning}, {gpu.name}"
            records.add(
                f"{name}_{gpu.name}", value, unit=unit, n=1, higher_is_better=None, description=text
            )
    facts = {"scorer": scorer["source"], "model": model["source"], "why": why}
    records.write(facts)
    return facts
