"""The examples of each sampled latent: windows of text that explain and score it.

::

    codes [rows, width] --frequency, strata--> a random sample of latents        (sample.py)
    each latent         --windows of `example_tokens`, strongest first           (windows.py)
                        --every other window--> delphi's sampler --> train
                        --the ones between----> delphi's sampler --> test
                        --windows without it--> delphi's sampler --> negatives
                        --the same, with the marks of positives----> matched     (negatives.py)

A latent never counts as firing on BOS or EOS: those are not text, and many latents fire on them.
delphi draws train and test from one list with one seed, which puts up to all of the test examples
into the explainer's prompt; here alternate windows keep them apart.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from scipy.sparse import csc_matrix, vstack

from latent_ledger.coders.codes import CodeShards
from latent_ledger.evaluations.autointerp import negatives, sample
from latent_ledger.evaluations.autointerp.delphi_io import TokenText, test, train
from latent_ledger.evaluations.autointerp.protocol import SCORABLE
from latent_ledger.evaluations.autointerp.records import Examples, write
from latent_ledger.evaluations.autointerp.windows import Pool, WindowExample, silent_windows
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.progress import Progress
from latent_ledger.text.tokenizer import load_tokenizer

NEVER, FEW, DENSE = "never fires", "too few windows", "fires almost everywhere"
"""Why a latent has no examples: no activation, fewer than `min_examples` windows with it, or fewer
than `n_negatives` without it."""


def produce(
    settings: Mapping[str, Any], codes: Path, tokens: Path, model: Path, out: Path
) -> dict[str, Any]:
    """Draw the sample and its examples; write the payload of :mod:`~.records` into `out`.

    `settings`: latents, strata, min_examples, n_train, n_test, n_negatives, quantiles,
    example_tokens, seed. `codes`: a coder's codes of the packed token set `tokens`; `model`: for
    its tokenizer. Returns facts: requested, scorable, latents per status, windows. Raises
    :class:`LedgerError` if codes and tokens differ in number.
    """
    ids, special = packed(Path(tokens), settings["example_tokens"])
    shards = CodeShards(codes)
    if len(shards) != ids.size:
        raise LedgerError(f"{codes} has {len(shards)} rows, but {tokens} has {ids.size} tokens.")
    counted = ~special.ravel()
    frequency = sample.frequencies(
        sample.ordinary(shards.shards(), counted), shards.width, int(counted.sum())
    )
    strata = sample.stratify(frequency, settings["strata"])
    selected = sample.draw(strata, settings["latents"], settings["seed"])
    fires: csc_matrix = vstack(
        [shard[:, selected] for shard in sample.ordinary(shards.shards(), counted)], format="csc"
    )
    drawn: list[Examples] = []
    columns: dict[str, Any] = {
        "latent": selected,
        "frequency": frequency[selected],
        "stratum": np.array(sample.stratum_names(settings["strata"]))[strata[selected]],
        "windows": [],
        "max_activation": [],
        "status": [],
    }
    with Progress("examples", total=len(selected), unit="latent") as progress:
        for number, latent in enumerate(selected.tolist()):
            first, end = fires.indptr[number : number + 2]
            pool = (
                Pool(fires.indices[first:end], fires.data[first:end], ids) if first < end else None
            )
            status, examples = latent_examples(latent, pool, special, settings)
            columns["windows"].append(len(pool) if pool else 0)
            columns["max_activation"].append(pool[0].max_activation if pool else 0.0)
            columns["status"].append(status)
            drawn += examples
            progress.update(1)
    tokenizer = load_tokenizer(model)
    write(out, columns, drawn, TokenText(lambda ids: str(tokenizer.decode(ids))))
    statuses = Counter(columns["status"])
    return {
        "requested": len(selected),
        "scorable": statuses[SCORABLE],
        "statuses": dict(sorted(statuses.items())),
        "windows": len(ids),
    }


def packed(tokens: Path, length: int) -> tuple[np.ndarray, np.ndarray]:
    """A packed token set in windows of `length`: ids and mask of specials, [windows, length] each.

    Raises :class:`LedgerError` unless whole windows fill every context.
    """
    arrays = load_file(tokens / "tokens.safetensors")
    ids, documents = arrays["input_ids"], arrays["doc_ids"]
    context = ids.shape[1]
    if (arrays["lengths"] != context).any():
        raise LedgerError(f"{tokens} is padded: auto-interp needs a packed token set.")
    if context % length:
        raise LedgerError(
            f"Windows of {length} tokens do not fill contexts of {context}: choose an "
            "evaluations.autointerp.example_tokens that divides tokens.context."
        )
    return ids.reshape(-1, length), (documents < 0).reshape(-1, length)


def latent_examples(
    latent: int, pool: Pool | None, special: np.ndarray, settings: Mapping[str, Any]
) -> tuple[str, list[Examples]]:
    """The status of one latent and, if it is scorable, its examples by role.

    Raises :class:`LedgerError` if delphi draws fewer than requested.
    """
    if pool is None:
        return NEVER, []
    if len(pool) < settings["min_examples"]:
        return FEW, []
    n_negatives = settings["n_negatives"]
    silent = silent_windows(pool, n_negatives, settings["seed"])
    if len(silent) < n_negatives:
        return DENSE, []
    largest, quantiles = pool[0].max_activation, settings["quantiles"]
    shown = train(pool[0::2], largest, settings["n_train"], "quantiles", n_quantiles=quantiles)
    held_out = test(pool[1::2], largest, settings["n_test"], quantiles, "quantiles")
    for drawn, wanted in ((shown, settings["n_train"]), (held_out, settings["n_test"])):
        if len(drawn) != wanted:
            raise LedgerError(
                f"{len(drawn)} of {wanted} examples could be drawn for latent {latent}: n_train "
                "and n_test are multiples of quantiles, min_examples at least twice either."
            )
    positives = _firing(latent, "test", held_out)
    rng = np.random.default_rng(np.random.SeedSequence([settings["seed"], latent]))
    lender = negatives.borrow(negatives.marks(positives.activations), special[silent], rng)
    no_quantile = np.full(n_negatives, -1)
    tokens = pool.tokens[silent]
    zeros = np.zeros(tokens.shape, np.float32)
    return SCORABLE, [
        _firing(latent, "train", shown),
        positives,
        Examples(latent, "negative", tokens, zeros, silent, no_quantile),
        Examples(latent, "matched", tokens, positives.activations[lender], silent, no_quantile),
    ]


def _firing(latent: int, role: str, examples: list[WindowExample]) -> Examples:
    return Examples(
        latent,
        role,
        np.stack([example.tokens.numpy() for example in examples]),
        np.stack([example.activations.numpy() for example in examples]),
        np.array([example.window for example in examples], np.int64),
        np.array([example.quantile for example in examples], np.int64),
    )
