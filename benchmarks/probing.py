"""SAEBench's sparse probing from cached activations, against sae_bench running the model itself.

    python benchmarks/probing.py [--coders N] [--examples TRAIN TEST]
                                 [--layers N] [--layer N] [--d N] [--width N] [--k N]

Both sides probe texts of six classes with the same coders, by sae_bench's own functions, on one
thread. sae_bench tokenizes the texts, runs the model with its hook (a TransformerLens bridge, which
loads a local folder), computes its baselines and probes the coder, for every coder anew, with
SAELens' own top k and its own default of texts at a time. We capture the hook point once, prefill
sae_bench's artifact once, and let it probe every coder from there, with the adapter's top k: the
first coder pays for the capture, loading and parity gate included, every further one only for its
own encoding and probes. Imports, and loading sae_bench's model, are outside the clock. What the
model's pass took is printed too, so that nobody mistakes a slow bridge for the reason.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from latent_ledger.coders.saelens import to_saelens
from latent_ledger.evaluations.saebench import artifacts, sparse_probing
from latent_ledger.models import capture
from latent_ledger.models.hook_points import HookPoint, HookPointName
from latent_ledger.text import tokens
from tests.evaluations.saebench.folders import coder_folder
from tests.tiny_models import neox_folder

from sae_bench.evals.sparse_probing import main as upstream  # isort: skip
from sae_bench.evals.sparse_probing.eval_config import SparseProbingEvalConfig  # isort: skip
from sae_lens.saes.topk_sae import TopK  # isort: skip
from transformer_lens.model_bridge import TransformerBridge  # isort: skip

CLASSES = [f"class-{number}" for number in range(6)]
CONTEXT, SEED = 64, 42
TOP_K = [1, 2, 5]


def random_texts(per_class: int) -> dict[str, list[str]]:
    """Random words, a little different per class, longer than a context."""
    rng = np.random.default_rng(SEED)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz "))
    return {
        name: ["".join(rng.choice(letters[number:], 2 * CONTEXT)) for _ in range(per_class)]
        for number, name in enumerate(CLASSES)
    }


class Clock:
    """Seconds by name, in the order they were measured."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    def __call__(self, name: str, run, *args, **kwargs):
        """Call `run` and remember how long it took."""
        began = time.perf_counter()
        result = run(*args, **kwargs)
        self.times.setdefault(name, []).append(time.perf_counter() - began)
        return result


def prefill(
    model: Path, layer: int, texts: dict[str, list[str]], sizes: tuple[int, int], out: Path, clock
) -> tuple[Path, dict]:
    """Our side's work that no coder repeats: examples, tokens, capture, artifact."""
    train = sizes[0] // 2
    rows = [
        {"concept": name, "label": 1, "split": "train" if row < train else "test", "text": text}
        for name, members in texts.items()
        for row, text in enumerate(members)
    ]
    for number, row in enumerate(rows):
        row |= {"example_id": number, "sha256": f"{number:064x}"}
    for name in ("examples", "tokens", "raw", "artifact"):
        (out / name).mkdir()
    pq.write_table(pa.Table.from_pylist(rows), out / "examples" / "examples.parquet")
    tokens.pack_examples({"context": CONTEXT}, out / "examples", model, out / "tokens")
    settings = {"dtype": "float32", "batch": 64, "shard_tokens": 65_536}
    settings |= {"parity_tolerance": 1e-4, "model_dtype": "float32", "parts": None}
    clock(
        "our capture",
        capture.capture,
        settings,
        model,
        out / "tokens",
        {HookPoint(layer, HookPointName.RESID_POST): out / "raw"},
    )
    settings = {"dataset": "occupations", "concepts": CLASSES, "train": sizes[0], "test": sizes[1]}
    settings |= {"top_k": TOP_K, "seed": SEED}
    folders = [out / name for name in ("tokens", "raw", "artifact")]
    return folders[-1], clock("our artifact", artifacts.produce, settings, *folders)


class SaeBench:
    """sae_bench as it runs by itself: texts in, the model at hand, nothing cached."""

    def __init__(
        self,
        model: Path,
        layer: int,
        texts: dict[str, list[str]],
        sizes: tuple[int, int],
        clock: Clock,
    ) -> None:
        self.layer = layer
        self.bridge = TransformerBridge.boot_transformers(
            str(model), dtype=torch.float32, device="cpu"
        )
        cut = sizes[0] // 2
        parts = [
            {name: members[:cut] for name, members in texts.items()},
            {name: members[cut:] for name, members in texts.items()},
        ]
        upstream.dataset_utils.get_multi_label_train_test_data = lambda *_: [
            dict(part) for part in parts
        ]
        upstream.dataset_info.chosen_classes_per_dataset["random"] = CLASSES
        run = upstream.get_dataset_activations
        upstream.get_dataset_activations = lambda *args: clock("sae_bench's pass", run, *args)
        self.config = SparseProbingEvalConfig(
            random_seed=SEED,
            dataset_names=["random"],
            context_length=CONTEXT,
            llm_batch_size=64,
            k_values=TOP_K,
        )

    def probe(self, sae) -> dict[str, dict[str, float]]:
        """Accuracies per class of one coder."""
        artifacts.seed_generators(SEED)
        with artifacts.quiet(), tempfile.TemporaryDirectory() as empty:
            _, accuracies = upstream.run_eval_single_dataset(
                "random",
                self.config,
                sae,
                self.bridge,
                self.layer,
                f"blocks.{self.layer}.hook_resid_post",
                "cpu",
                artifacts_folder=empty,
                save_activations=False,
            )
        return accuracies


def main() -> None:
    """Measure, and print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, default=4, help="of the random model")
    parser.add_argument("--layer", type=int, help="default: the middle, as in config/tiny.yaml")
    parser.add_argument("--d", type=int, default=128, help="width of the random model")
    parser.add_argument("--coders", type=int, default=3)
    parser.add_argument("--examples", type=int, nargs=2, default=(600, 300))
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--k", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clock, sizes = Clock(), tuple(arguments.examples)
    texts = random_texts(sum(size // 2 for size in sizes))
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        model = neox_folder(out / "model", layers=arguments.layers, width=arguments.d)
        layer = arguments.layers // 2 if arguments.layer is None else arguments.layer
        artifact, meta = prefill(model, layer, texts, sizes, out, clock)
        d, width, k = meta["d"], arguments.width, arguments.k
        theirs = SaeBench(model, layer, texts, sizes, clock)
        settings = {"top_k": TOP_K, "batch": 16, "seed": SEED}
        accuracies = {}
        for number in range(arguments.coders):
            folder = coder_folder(out / f"coder-{number}", "sae", d=d, width=width, k=k)
            sae = to_saelens(folder)
            ours = clock("our probing", sparse_probing.probe, settings, sae, meta, artifact)
            sae.activation_fn = TopK(k)  # SAELens' own
            other = clock("sae_bench", theirs.probe, sae)
            accuracies = {"ours": ours, "sae_bench": other}
        report(clock.times, accuracies)


def report(times: dict[str, list[float]], accuracies: dict[str, dict]) -> None:
    """Print seconds by name, and the ratios."""
    for name, seconds in times.items():
        print(f"{name:20} {', '.join(f'{value:.1f}' for value in seconds)} s")
    for side, by_metric in accuracies.items():
        mean = statistics.mean(by_metric["sae_top_5_test_accuracy"].values())
        print(f"{side:20} top-5 accuracy {mean:.3f} (another draw of negatives on either side)")
    once = times["our capture"][0] + times["our artifact"][0]
    first = times["sae_bench"][0] / (once + times["our probing"][0])
    later = sum(times["sae_bench"][1:]) / sum(times["our probing"][1:])
    print(f"first coder: {first:.2f} times faster; every further coder: {later:.2f} times faster")


if __name__ == "__main__":
    main()
