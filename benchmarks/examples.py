"""Auto-interp examples against delphi's own cache and constructors, side by side in one run.

    python benchmarks/examples.py MODEL TOKENS CODER [--latents N] [--repeats N]

MODEL, TOKENS and CODER are payload folders: a language model, a packed token set, and a sparsify
SAE of a residual stream (`latent-ledger` names them; any run of config/tiny.yaml has them). Both
sides use one thread, and each does the whole of both steps:

* latents on disk: delphi's `LatentCache` runs the model, makes dense latents of every token and
  writes their non-zeros; ours captures the hook point (parity gate included) and encodes it to CSR;
* examples of the same latents: delphi's `LatentDataset` builds a record of each; ours is the rule
  `latent_examples`, matched negatives and the payload on disk included.

Imports are outside the clock, and so is delphi's loading of the model; ours is inside. The codes
serve every later sample of latents, and the activations every coder of the hook point. Repeats
alternate; ratios are those of medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAXTYPING_DISABLE", "1")

import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors.numpy import load_file
from sparsify import SparseCoder
from sparsify.utils import get_layer_list

from latent_ledger.coders import codes
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.evaluations.autointerp import delphi_io, examples
from latent_ledger.evaluations.autointerp.records import LATENTS
from latent_ledger.models import capture, language_model
from latent_ledger.text.tokenizer import load_tokenizer

with delphi_io.stand_ins():
    from delphi.config import CacheConfig, ConstructorConfig, SamplerConfig
    from delphi.latents.loader import LatentDataset

from delphi.latents.cache import LatentCache
from delphi.sparse_coders.load_sparsify import sae_dense_latents

SETTINGS = {
    "strata": [0.003, 0.01, 0.03, 0.1],
    "min_examples": 40,
    "n_train": 20,
    "n_test": 20,
    "n_negatives": 20,
    "quantiles": 5,
    "example_tokens": 32,
    "seed": 0,
}


def near(n: int, wanted: int) -> int:
    """The divisor of `n` nearest to `wanted`: delphi drops a partial last batch."""
    return min((d for d in range(1, n + 1) if n % d == 0), key=lambda d: abs(d - wanted))


class Theirs:
    """delphi: cache, then records."""

    def __init__(self, model: Path, tokens: Path, coder: Path) -> None:
        self.network, self.tokenizer = (language_model.load_model(model), load_tokenizer(model))
        self.ids = torch.from_numpy(load_file(tokens / "tokens.safetensors")["input_ids"]).long()
        self.coder = SparseCoder.load_from_disk(coder, device="cpu")
        layer = load_coder(coder, "cpu").site.input_hook.layer
        (self.hook,) = (
            name
            for name, module in self.network.named_modules()
            if module is get_layer_list(self.network)[1][layer]
        )

    def cache(self, out: Path) -> None:
        encode = {self.hook: partial(sae_dense_latents, sae=self.coder)}
        cache = LatentCache(self.network, encode, batch_size=near(len(self.ids), 64))
        cache.run(self.ids.numel(), self.ids)
        cache.save_splits(5, out)
        cache.save_config(out, CacheConfig(cache_ctx_len=self.ids.shape[1]), "model")

    def records(self, cache: Path, latents: np.ndarray) -> int:
        dataset = LatentDataset(
            cache,
            SamplerConfig(
                n_examples_train=SETTINGS["n_train"],
                n_examples_test=SETTINGS["n_test"],
                n_quantiles=SETTINGS["quantiles"],
            ),
            ConstructorConfig(
                example_ctx_len=SETTINGS["example_tokens"],
                min_examples=SETTINGS["min_examples"],
                n_non_activating=SETTINGS["n_negatives"],
            ),
            modules=[self.hook],
            latents={self.hook: torch.from_numpy(latents)},
            tokenizer=delphi_io.TokenText(self.tokenizer.decode),
        )
        # One after the other: its event loop only adds to the time.
        records = [dataset._process_latent(data) for buffer in dataset.buffers for data in buffer]
        return sum(record is not None and len(record.not_active) > 0 for record in records)


class Ours:
    """This project: activations and codes, then examples."""

    def __init__(self, model: Path, tokens: Path, coder: Path) -> None:
        self.model, self.tokens, self.coder = model, tokens, coder
        self.hook_point = load_coder(coder, "cpu").site.input_hook

    def cache(self, out: Path) -> None:
        acts, encoded = out / "activations", out / "codes"
        acts.mkdir()
        encoded.mkdir()
        settings = {
            "dtype": "float16",
            "batch": 64,
            "shard_tokens": 16_384,
            "parity_tolerance": 1e-4,
            "model_dtype": "float32",
        }
        capture.capture(settings, self.model, self.tokens, {self.hook_point: acts})
        codes.produce({}, acts, self.coder, encoded)

    def examples(self, cache: Path, n: int, out: Path) -> int:
        facts = examples.produce(
            {**SETTINGS, "latents": n}, cache / "codes", self.tokens, self.model, out
        )
        return facts["scorable"]


def seconds(run, *args) -> tuple[float, object]:
    """Wall-clock seconds of one call, and what it returned."""
    began = time.perf_counter()
    result = run(*args)
    return time.perf_counter() - began, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "tokens", "coder"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--latents", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folders = (options.model, options.tokens, options.coder)
    theirs, ours = Theirs(*folders), Ours(*folders)
    times: dict[str, list[float]] = {name: [] for name in ("A", "a", "B", "b")}
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as scratch:
            places = [Path(scratch) / name for name in ("theirs", "ours", "examples")]
            for place in places:
                place.mkdir()
            times["A"].append(seconds(theirs.cache, places[0])[0])
            times["a"].append(seconds(ours.cache, places[1])[0])
            took, n_ours = seconds(ours.examples, places[1], options.latents, places[2])
            times["b"].append(took)
            latents = np.sort(pq.read_table(places[2] / LATENTS)["latent"].to_numpy())
            took, n_theirs = seconds(theirs.records, places[0], latents)
            times["B"].append(took)
    median = {name: statistics.median(took) for name, took in times.items()}
    n_tokens = theirs.ids.numel()
    print(
        f"\n{n_tokens:,} tokens, {options.latents} latents drawn; records: {n_theirs} and {n_ours}"
    )
    print("| step | delphi, s | here, s | ratio |\n| --- | ---: | ---: | ---: |")
    steps = {"latents on disk": ("A", "a"), "examples": ("B", "b")}
    for step, (their, our) in steps.items():
        ratio = median[their] / median[our]
        print(f"| {step} | {median[their]:.1f} | {median[our]:.1f} | {ratio:.2f} |")
    both = [sum(median[name] for name in names) for names in ("AB", "ab")]
    print(f"| both | {both[0]:.1f} | {both[1]:.1f} | {both[0] / both[1]:.2f} |")


if __name__ == "__main__":
    main()
