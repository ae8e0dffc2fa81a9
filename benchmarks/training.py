"""Training one layer's SAE and skip-transcoder: Latent Ledger against sparsify's own trainer.

    python benchmarks/training.py [--model FOLDER --tokens FOLDER] [--large] [--repeats N]

Both sides see the same model, the same tokens in the same order, the same steps, batch, width, k,
seed and optimiser, and the same number of threads. sparsify runs its ``Trainer`` twice (a run
trains one kind of coder). Latent Ledger captures the three hook points once, to disk, in float16,
gate included, and trains both coders from there. Every job is a process of its own, as in the
workflow; sides alternate, and the best of the repeats counts.

On the very same activations both sides have the same losses, step for step
(tests/coders/training/test_trainer.py). Here they do not see the very same: the stored precision
and the last bits of the forward pass differ, and signum amplifies that. The first batch sets
``b_dec`` to its mean, so the first gradient of ``b_dec`` is rounding noise, and its sign moves
every coordinate by a full learning rate. Under sparsify's rule for the rate (0.02 at width 1024)
that decides a third of the final FVU, hence the lower rate, for both sides. What is left is a few
tenths of a percent in the small case and, after the few steps of the large one, up to 5% either
way.

Printed per job: seconds of work (everything after imports: loading the model, the parity gate,
reading, training, saving), seconds of the whole process, peak resident memory. Then the two ratios
and, on held-out contexts in float32, the FVU of all four coders as sparsify's loader loads them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

OURS = ("capture", "sae", "skip-transcoder")
THEIRS = ("sparsify-sae", "sparsify-skip-transcoder")
POINTS = {"sae": ("resid_post", "resid_post"), "skip-transcoder": ("mlp_in", "mlp_out")}
TINY = {"layers": 4, "d": 128, "context": 64, "width": 1024, "k": 32, "tokens": 200_000}
LARGE = {"layers": 6, "d": 512, "context": 128, "width": 8192, "k": 64, "tokens": 100_000}


def recipe(case: dict, architecture: str) -> dict:
    """The settings of one coder, as the workflow would pass them."""
    input_hook, output_hook = POINTS[architecture]
    settings = {
        "architecture": architecture,
        "layer": case["layer"],
        "input_hook": input_hook,
        "output_hook": output_hook,
        "seed": 0,
    }
    settings |= {"width": case["width"], "k": case["k"], "checkpoint_steps": 200}
    return (
        settings
        | {"batch_tokens": case["batch"] * case["context"], "optimizer": "signum"}
        | {"learning_rate": case["learning_rate"]}
    )


def capture_job(case: dict, root: Path):
    """Capture the three hook points of the layer, parity gate included."""
    from transformer_lens.model_bridge import TransformerBridge  # noqa: F401  outside the clock

    from latent_ledger.models.capture import capture
    from latent_ledger.models.hook_points import HookPoint, HookPointName

    settings = {key: case[key] for key in ("dtype", "batch", "shard_tokens")}
    settings |= {"parity_tolerance": 1e-4, "model_dtype": "float32"}
    shutil.rmtree(root / "acts", ignore_errors=True)  # finished shards would be kept
    outs = {}
    for point in (HookPointName.RESID_POST, HookPointName.MLP_IN, HookPointName.MLP_OUT):
        outs[HookPoint(case["layer"], point)] = root / "acts" / point.value
        outs[HookPoint(case["layer"], point)].mkdir(parents=True, exist_ok=True)
    return lambda: capture(settings, Path(case["model"]), root / "train", outs)


def train_job(case: dict, root: Path, architecture: str):
    """Train one coder from the captured activations, checkpoints included."""
    from latent_ledger.coders.training.trainer import produce

    sides = dict(zip(("input_hook", "output_hook"), POINTS[architecture], strict=True))
    folders = {side: root / "acts" / point for side, point in sides.items()}
    out = root / "coders" / architecture
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = Path(tempfile.mkdtemp(dir=root))
    return lambda: produce(recipe(case, architecture), folders, out, checkpoint)


def sparsify_job(case: dict, root: Path, architecture: str):
    """sparsify's Trainer on the same contexts, checkpoints as often as ours."""
    from datasets import Dataset
    from safetensors.torch import load_file
    from sparsify import TrainConfig, Trainer

    from latent_ledger.coders.training.trainer import Recipe
    from latent_ledger.lib.files import read_json
    from latent_ledger.models.language_model import load_model

    meta = read_json(root / "train" / "meta.json")
    hookpoint = f"layers.{case['layer']}" + ("" if architecture == "sae" else ".mlp")

    def work() -> None:
        ids = load_file(root / "train" / "tokens.safetensors")["input_ids"].long()
        config = TrainConfig(
            Recipe.from_settings(recipe(case, architecture)).coder_config,
            batch_size=case["batch"],
            lr=case["learning_rate"],
            hookpoints=[hookpoint],
            exclude_tokens=[meta[name] for name in ("bos_id", "eos_id", "pad_id")],
            log_to_wandb=False,
            save_every=200,
            save_dir=str(root / "coders"),
            run_name=f"sparsify-{architecture}",
        )
        dataset = Dataset.from_dict({"input_ids": ids.numpy()}).with_format("torch")
        model = load_model(Path(case["model"]))
        model.set_attn_implementation("sdpa")  # the faster attention, which our capture uses too
        Trainer(config, dataset, model).fit()

    return work


def held_out_job(case: dict, root: Path):
    """FVU of every coder on the held-out contexts, in float32, special tokens left out."""
    import torch
    from safetensors.torch import load_file
    from sparsify import SparseCoder

    from latent_ledger.lib.files import read_json
    from latent_ledger.models import hooks
    from latent_ledger.models.hook_points import CoderSite
    from latent_ledger.models.language_model import load_model

    def work() -> dict[str, float]:
        ids = load_file(root / "held-out" / "tokens.safetensors")["input_ids"].long()
        meta = read_json(root / "held-out" / "meta.json")
        special = torch.tensor([meta[name] for name in ("bos_id", "eos_id", "pad_id")])
        kept = torch.isin(ids, special, invert=True)
        network, fvu = load_model(Path(case["model"])), {}
        for architecture, points in POINTS.items():
            site = CoderSite.at(case["layer"], *points)
            values = hooks.read(network, ids, site.hook_points)
            x, y = values[site.input_hook][kept], values[site.output_hook][kept]
            hookpoint = f"layers.{case['layer']}" + ("" if architecture == "sae" else ".mlp")
            theirs = f"sparsify-{architecture}"
            for name, place in ((architecture, architecture), (theirs, f"{theirs}/{hookpoint}")):
                coder = SparseCoder.load_from_disk(root / "coders" / place)
                with torch.no_grad():
                    fvu[name] = coder(x, y).fvu.item()
        return fvu

    return work


def run_job(name: str, root: Path) -> None:
    """Run one job in this process and print its figures as one line of JSON."""
    began = time.perf_counter()
    case = json.loads((root / "case.json").read_text())
    import torch

    torch.set_num_threads(case["threads"])
    if name == "capture":
        work = capture_job(case, root)
    elif name == "held-out":
        work = held_out_job(case, root)
    elif name in THEIRS:
        work = sparsify_job(case, root, name.removeprefix("sparsify-"))
    else:
        work = train_job(case, root, name)
    imported = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - imported
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux
    figures = {"seconds": seconds, "imports": imported - began, "peak_mib": peak}
    print(json.dumps(figures | ({"fvu": result} if name == "held-out" else {})))


def start_job(name: str, root: Path) -> dict:
    """Run one job in a fresh process; adds the seconds of the whole process."""
    began = time.perf_counter()
    command = [sys.executable, __file__, "--job", name, "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-4000:]}")
    print(f"  {name} done", file=sys.stderr, flush=True)
    return json.loads(done.stdout.splitlines()[-1]) | {"process": time.perf_counter() - began}


def prepare(case: dict, root: Path, tokens: Path | None) -> None:
    """Make the model unless given, and split the contexts into training and held-out ones."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    from latent_ledger.lib.files import read_json, write_json
    from tests.tiny_models import neox_folder, packed_tokens

    context = case["context"]
    if not case["model"]:
        shape = {"layers": case["layers"], "width": case["d"], "heads": case["d"] // 32}
        neox_folder(root / "model", vocabulary=2048, context=context, **shape)
        case["model"] = str(root / "model")
    held_out = 200
    if tokens is None:
        wanted = case["tokens"] // context + held_out
        tokens = packed_tokens(root / "tokens", contexts=wanted, context=context, document=50)
    arrays, meta = load_file(tokens / "tokens.safetensors"), read_json(tokens / "meta.json")
    case["context"] = meta["context"]
    last = min(case["tokens"] // meta["context"] + held_out, len(arrays["lengths"]))
    for name, low, high in (("train", 0, last - held_out), ("held-out", last - held_out, last)):
        (root / name).mkdir()
        part = {key: np.ascontiguousarray(value[low:high]) for key, value in arrays.items()}
        save_file(part, root / name / "tokens.safetensors")
        write_json(root / name / "meta.json", meta | {"n_contexts": high - low})
    write_json(root / "case.json", case)


def report(case: dict, best: dict[str, dict], fvu: dict[str, float]) -> None:
    """Print the tables."""
    import torch
    import transformers

    contexts = (Path(case["model"]).name, f"layer {case['layer']}", f"{case['tokens']:,} tokens")
    print(
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores "
        f"({case['threads']} threads used), torch {torch.__version__}, "
        f"transformers {transformers.__version__}\n\n{', '.join(contexts)}, width {case['width']}, "
        f"k {case['k']}, {case['batch']} x {case['context']} tokens per step\n"
    )
    print("| job | seconds of work | of the process | peak memory, MiB | FVU, held out |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in (*OURS, *THEIRS):
        timing = best[name]
        error = f"{fvu[name]:.5f}" if name in fvu else ""
        print(
            f"| {name} | {timing['seconds']:.1f} | {timing['process']:.1f} | "
            f"{timing['peak_mib']:,.0f} | {error} |"
        )
    print()
    for key, label in (("seconds", "work"), ("process", "whole processes, imports included")):
        ours, theirs = (sum(best[name][key] for name in side) for side in (OURS, THEIRS))
        print(f"{label}: {ours:.1f} s against {theirs:.1f} s: {theirs / ours:.2f} times faster")
    ours, theirs = (max(best[name]["peak_mib"] for name in side) for side in (OURS, THEIRS))
    print(f"peak memory: {ours:,.0f} MiB against {theirs:,.0f} MiB: {ours / theirs:.2f}")
    for architecture in POINTS:
        ratio = fvu[architecture] / fvu[f"sparsify-{architecture}"]
        print(f"FVU, {architecture}: {ratio:.4f} of sparsify's")


def main() -> None:
    """Parse the command line, run the jobs side by side, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", type=Path, help="a model folder; default: a random one")
    parser.add_argument("--tokens", type=Path, help="a token folder made with that model's tokens")
    parser.add_argument("--layer", type=int, help="default: the middle one")
    parser.add_argument("--budget", type=int, help="training tokens; default 200,000")
    parser.add_argument("--large", action="store_true", help="6 layers of 512, width 8192, k 64")
    parser.add_argument("--shard-tokens", type=int, default=16_384)
    parser.add_argument("--dtype", default="float16", help="of the stored activations")
    parser.add_argument(
        "--learning-rate", type=float, default=5e-3, help="of both sides; 0: sparsify's own rule"
    )
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        run_job(options.job, options.root)
        return
    if bool(options.model) != bool(options.tokens):
        parser.error("--model and --tokens belong together: the ids must be that model's.")
    case = dict(LARGE if options.large else TINY) | {"batch": 16, "threads": options.threads}
    case |= {"learning_rate": options.learning_rate or None, "dtype": options.dtype}
    case["shard_tokens"] = options.shard_tokens
    case["model"] = str(options.model.resolve()) if options.model else None
    case["layer"] = case["layers"] // 2 if options.layer is None else options.layer
    case["tokens"] = options.budget or case["tokens"]
    best: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        prepare(case, root, options.tokens)
        for repeat in range(options.repeats):
            # Sides alternate, and so does which one goes first.
            for name in (*OURS, *THEIRS) if repeat % 2 == 0 else (*THEIRS, *OURS):
                timing = start_job(name, root)
                for key, value in timing.items():
                    pick = max if key == "peak_mib" else min
                    kept = best.setdefault(name, timing.copy())
                    kept[key] = pick(kept[key], value)
        report(case, best, start_job("held-out", root)["fvu"])


if __name__ == "__main__":
    main()
