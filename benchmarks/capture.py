"""Capture against the full forward pass: tokens per second, side by side, in one run.

    python benchmarks/capture.py [--model FOLDER] [--tokens N] [--repeats N] [--layer L ...]

Both run the same loaded model on the same tokens in batches of the same size, on one thread. The
full pass computes logits and throws them away; the capture stops at the output of a block and
writes its activations, token ids, positions and document ids to disk as float16, flushed. Captured
are the middle block, ``(layers - 1) // 2`` (block 12 of Gemma-2-2B's 26), and, harder, the block
behind it. Repeats alternate; the ratio is that of the medians. Loading the model and the parity
gate (once per capture, whatever the number of tokens) are outside the clock.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import transformers

from latent_ledger.models import capture
from latent_ledger.models.hook_points import HookPoint, HookPointName
from tests.tiny_models import neox_folder, packed_tokens

BATCH, SHARD_TOKENS = 64, 65_536


def full_forward(network: torch.nn.Module, tokens: capture.TokenSet) -> None:
    """Every context through every layer and the unembedding; nothing is kept."""
    with torch.inference_mode():
        for low in range(0, len(tokens.lengths), BATCH):
            batch = tokens.read(low, min(low + BATCH, len(tokens.lengths)))
            network(batch["input_ids"].long(), use_cache=False)


def seconds(run, *args) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    run(*args)
    return time.perf_counter() - began


def measure(model: Path, folder: Path, layers: list[int], repeats: int, dtype: str) -> list[dict]:
    """Median tokens per second of the full pass and of each capture, after an untimed round."""
    network = capture.load_for_capture(model)
    settings = {"dtype": dtype, "batch": BATCH, "shard_tokens": SHARD_TOKENS}
    tokens = capture.TokenSet(folder)
    middle = (network.config.get_text_config().num_hidden_layers - 1) // 2
    wanted = [
        HookPoint(layer, HookPointName.RESID_POST) for layer in layers or (middle, middle + 1)
    ]
    times: dict[HookPoint | str, list[float]] = {name: [] for name in ("full", *wanted)}
    for repeat in range(repeats + 1):
        for name, collected in times.items():
            if name == "full":
                took = seconds(full_forward, network, tokens)
            else:
                with tempfile.TemporaryDirectory() as out:
                    folders = {name: Path(out)}
                    took = seconds(capture.write_missing_shards, settings, network, tokens, folders)
            if repeat:
                collected.append(took)
    full = tokens.n_rows / statistics.median(times.pop("full"))
    captures = {
        hook_point: tokens.n_rows / statistics.median(took) for hook_point, took in times.items()
    }
    return [
        {
            "hook_point": hook_point,
            "tokens": tokens.n_rows,
            "full": full,
            "capture": rate,
            "ratio": rate / full,
        }
        for hook_point, rate in captures.items()
    ]


def main() -> None:
    """Parse the command line, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", type=Path, help="a model folder; default: random ones")
    parser.add_argument("--layers", default="4,8", help="depths of the random models")
    parser.add_argument(
        "--layer", type=int, nargs="*", default=[], help="blocks whose output is captured"
    )
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--dtype", default="float16", help="stored dtype")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()

    print(
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores (one thread used), "
        f"torch {torch.__version__}, transformers {transformers.__version__}\n"
    )
    print("| model | captured | tokens | full forward, tokens/s | capture, tokens/s | ratio |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        tokens = packed_tokens(
            root / "tokens", contexts=options.tokens // options.context, context=options.context
        )
        models = [options.model] if options.model else []
        for depth in () if models else map(int, options.layers.split(",")):
            models.append(
                neox_folder(
                    root / f"neox-{depth}",
                    layers=depth,
                    width=128,
                    vocabulary=2048,
                    context=options.context,
                )
            )
        for model in models:
            for speed in measure(model, tokens, options.layer, options.repeats, options.dtype):
                print(
                    f"| {model.name} | {speed['hook_point']} | {speed['tokens']:,} | "
                    f"{speed['full']:,.0f} "
                    f"| {speed['capture']:,.0f} | {speed['ratio']:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
