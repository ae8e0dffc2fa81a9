"""Reconstruction on coders whose scores are known: perfect, the mean, nothing at all.

The models are random GPT-NeoX's; activations are taken straight from the hooks, without the capture
job, so that a failure here is a failure of the evaluation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from sparsify import SparseCoder, SparseCoderConfig

from latent_ledger.coders import codes
from latent_ledger.coders.formats.sparsify.writer import save
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.evaluations.reconstruction import evaluation as reconstruction
from latent_ledger.lib.errors import GateError, LedgerError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models import hooks, language_model
from latent_ledger.models.hook_points import CoderSite, HookPoint
from latent_ledger.models.shards import ActivationShards, write_shard
from latent_ledger.statistics import metrics, reading
from tests.tiny_models import folder_digest, neox_folder, packed_tokens

D = 32
SAE = CoderSite.at(1, "resid_post")
TRANSCODER = CoderSite.at(1, "mlp_in", "mlp_out")
SETTINGS = {"resamples": 200, "ablation": "zero", "splice_contexts": 10, "batch": 4, "seed": 0}


def write_activations(
    model: Path, tokens: Path, hook_point: HookPoint, out: Path, dtype=torch.float32
) -> Path:
    """Activations of `hook_point` in two shards of whole contexts."""
    network, arrays = language_model.load_model(model), load_file(tokens / "tokens.safetensors")
    ids = arrays["input_ids"]
    values = hooks.read(network, ids.long(), [hook_point])[hook_point].to(dtype)
    n, context = ids.shape
    place = torch.arange(n * context, dtype=torch.int32).reshape(n, context)
    out.mkdir(parents=True)
    cut = n * 2 // 3
    for index, part in enumerate((slice(0, cut), slice(cut, n))):
        columns = {
            "activations": values[part].reshape(-1, values.shape[-1]),
            "token_ids": ids[part].reshape(-1),
            "positions": (place % context)[part].reshape(-1),
            "doc_ids": arrays["doc_ids"][part].reshape(-1),
            "contexts": (place // context)[part].reshape(-1),
        }
        columns = {name: column.clone() for name, column in columns.items()}
        write_shard(out / f"acts-{index:05d}.safetensors", columns)
    shards = [cut * context, (n - cut) * context]
    write_json(
        out / "meta.json", {"hook_point": str(hook_point), "d": values.shape[-1], "shards": shards}
    )
    return out


class World:
    """A model, a token set and the activations of both sites."""

    def __init__(self, folder: Path, dtype=torch.float32) -> None:
        self.folder = folder
        self.model = neox_folder(folder / "model", width=D)
        self.tokens = packed_tokens(folder / "tokens", contexts=12, context=16, document=7)
        self.activations = {
            hook_point: write_activations(
                self.model, self.tokens, hook_point, folder / str(hook_point), dtype
            )
            for hook_point in (*SAE.hook_points, *TRANSCODER.hook_points)
        }

    def rows(self, hook_point: HookPoint, special: bool = False) -> np.ndarray:
        """Stored rows of `hook_point` in float64: the documents' own, or all but EOS."""
        rows = self.stored(hook_point)
        kept = (rows["doc_ids"] >= 0) | ((rows["positions"] == 0) & special)
        return rows["activations"][kept].double().numpy()

    def stored(self, hook_point: HookPoint) -> dict[str, torch.Tensor]:
        """All columns of all rows of `hook_point`."""
        shards = ActivationShards(self.activations[hook_point])
        return shards.read(0, len(shards))

    def coder(self, name: str, site: CoderSite, edit) -> Path:
        """Save a coder of width 2 d, k = 2 d, zero decoder and biases, after `edit(coder)`."""
        transcode = not site.autoencodes
        config = SparseCoderConfig(
            num_latents=2 * D, k=2 * D, transcode=transcode, normalize_decoder=False
        )
        coder = SparseCoder(D, config)
        with torch.no_grad():
            coder.W_dec.zero_()
            edit(coder)
        save(coder, site, self.folder / name)
        return self.folder / name

    def evaluate(self, coder: Path, out: str = "out", **settings) -> Path:
        """Encode and evaluate; returns the evaluation's folder."""
        site = load_coder(coder).site
        input_hook, output_hook = (
            self.activations[site.input_hook],
            self.activations[site.output_hook],
        )
        encoded = self.folder / f"codes-{coder.name}"
        if not encoded.exists():
            encoded.mkdir()
            codes.produce({}, input_hook, coder, encoded)
        folder = self.folder / f"{out}-{coder.name}"
        folder.mkdir()
        reconstruction.produce(
            SETTINGS | {"architecture": "any"} | settings,
            model=self.model,
            tokens=self.tokens,
            input_hook=input_hook,
            output_hook=output_hook,
            codes=encoded,
            coder=coder,
            out=folder,
        )
        return folder


def identity(coder: SparseCoder) -> None:
    """relu(x) - relu(-x) = x, exactly."""
    signs = torch.cat([torch.eye(D), -torch.eye(D)])
    coder.encoder.weight.copy_(signs)
    coder.W_dec.copy_(signs)


def nothing(coder: SparseCoder) -> None:
    """The zero output."""


def constant(value: np.ndarray):
    """Always `value`."""

    def edit(coder: SparseCoder) -> None:
        coder.b_dec.copy_(torch.from_numpy(value))

    return edit


def halved(coder: SparseCoder) -> None:
    """x / 2, and latents that are all different."""
    identity(coder)
    coder.W_dec.mul_(0.5)


def estimates(folder: Path) -> dict[str, float]:
    return {m["name"]: m["estimate"] for m in read_json(folder / "metrics.json")["metrics"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def half(world) -> Path:
    """The evaluation of an SAE that halves its input: neither perfect nor null."""
    return world.evaluate(world.coder("half", SAE, halved))


def test_perfect_coder_scores_one_and_costs_nothing(world):
    scores = estimates(world.evaluate(world.coder("identity", SAE, identity)))
    assert scores["variance_explained"] == pytest.approx(1.0, abs=1e-10)
    assert scores["variance_explained_with_bos"] == pytest.approx(1.0, abs=1e-10)
    assert scores["cosine"] == pytest.approx(1.0, abs=1e-6)
    assert scores["loss_recovered"] == pytest.approx(1.0, abs=1e-4)
    assert scores["kl"] == pytest.approx(0.0, abs=1e-6)
    assert scores["ce_spliced"] == pytest.approx(scores["ce_clean"], abs=1e-5)
    assert scores["l0"] == pytest.approx(D)  # of x and -x one is positive


@pytest.mark.parametrize("site", [SAE, TRANSCODER], ids=["sae", "transcoder"])
def test_coder_that_writes_the_mean_explains_nothing(world, site):
    mean = world.rows(site.output_hook).mean(axis=0)
    coder = world.coder(f"mean-{site.input_hook.point}", site, constant(mean))
    scores = estimates(world.evaluate(coder))
    assert scores["variance_explained"] == pytest.approx(0.0, abs=1e-6)
    assert scores["variance_explained_with_bos"] < 0  # the BOS rows move the mean
    # Splicing in the mean is the ablation to the mean.
    scores = estimates(world.evaluate(coder, "mean", ablation="mean"))
    assert scores["loss_recovered"] == pytest.approx(0.0, abs=1e-3)
    assert scores["ce_spliced"] == pytest.approx(scores["ce_ablated"], abs=1e-5)


@pytest.mark.parametrize("site", [SAE, TRANSCODER], ids=["sae", "transcoder"])
def test_coder_without_output_recovers_nothing(world, site):
    scores = estimates(world.evaluate(world.coder(f"zero-{site.input_hook.point}", site, nothing)))
    assert scores["loss_recovered"] == pytest.approx(0.0, abs=1e-6)
    assert scores["variance_explained"] < 0
    assert scores["cosine"] == 0
    assert scores["kl"] > 0.01


def test_transcoder_that_is_the_mlp_scores_one(world, monkeypatch):
    """Only if it reads the MLP's live input and its output replaces the MLP's."""
    mlp = language_model.load_model(world.model).gpt_neox.layers[1].mlp
    coder = load_coder(world.coder("mlp", TRANSCODER, identity))
    coder.decode = lambda indptr, indices, values, x: mlp(x)
    monkeypatch.setattr(reconstruction, "load_coder", lambda *_: coder)
    scores = estimates(world.evaluate(world.folder / "mlp"))
    assert scores["variance_explained"] == pytest.approx(1.0, abs=1e-9)
    assert scores["loss_recovered"] == pytest.approx(1.0, abs=1e-4)
    assert scores["kl"] == pytest.approx(0.0, abs=1e-6)


def test_document_sums_equal_sums_over_all_rows(world, half):
    scores = estimates(half)
    for name, special in (("variance_explained", False), ("variance_explained_with_bos", True)):
        target = world.rows(SAE.output_hook, special)
        assert scores[name] == pytest.approx(metrics.variance_explained(target, target / 2))
    table = pq.read_table(half / "documents.parquet").to_pydict()
    target = world.rows(SAE.output_hook)
    assert sum(table["tokens"]) == len(target)
    owner = world.stored(SAE.output_hook)["doc_ids"].numpy()
    third = target[owner[owner >= 0] == 3]
    mean = target.mean(axis=0)
    assert table["doc_id"][3] == 3
    assert table["sse"][3] == pytest.approx((third**2).sum() / 4)
    assert table["sst"][3] == pytest.approx(((third - mean) ** 2).sum())


def test_losses_equal_hand_made_splice(world, half):
    """Halve the residual with a hook of our own and take the losses with plain indexing."""
    arrays = load_file(world.tokens / "tokens.safetensors")
    ids, docs = arrays["input_ids"][:10].long(), arrays["doc_ids"][:10]
    network = language_model.load_model(world.model)
    is_text = (docs >= 0)[..., None]

    def halve(value):
        return torch.where(is_text, value / 2, value)

    clean = network(ids).logits.log_softmax(-1)
    with hooks.hooked(network, {SAE.output_hook: halve}):
        spliced = network(ids).logits.log_softmax(-1)
    sums, kl, count = np.zeros(2), 0.0, 0
    per_document: dict[int, int] = {}
    for row in range(10):
        for position in range(15):
            if docs[row, position] < 0 or docs[row, position + 1] < 0:
                continue
            target = ids[row, position + 1]
            sums -= [clean[row, position, target].item(), spliced[row, position, target].item()]
            p, q = clean[row, position], spliced[row, position]
            kl += (p.exp() * (p - q)).sum().item()
            count += 1
            document = int(docs[row, position + 1])
            per_document[document] = per_document.get(document, 0) + 1
    scores = estimates(half)
    assert scores["ce_clean"] == pytest.approx(sums[0] / count, rel=1e-5)
    assert scores["ce_spliced"] == pytest.approx(sums[1] / count, rel=1e-5)
    assert scores["kl"] == pytest.approx(kl / count, rel=1e-4)
    assert scores["loss_recovered"] == pytest.approx(
        metrics.loss_recovered(scores["ce_clean"], scores["ce_spliced"], scores["ce_ablated"])
    )
    table = pq.read_table(half / "documents.parquet").to_pydict()
    counts = dict(zip(table["doc_id"], table["spliced_tokens"], strict=True))
    assert {doc: n for doc, n in counts.items() if n} == per_document
    assert 0 in counts.values()  # documents of the last two contexts are not spliced


def test_bos_counts_for_the_first_document_and_eos_for_none(world):
    shards = ActivationShards(world.activations[SAE.input_hook])
    docs = load_file(world.tokens / "tokens.safetensors")["doc_ids"]
    owner = np.concatenate([reconstruction.row_owners(part, docs) for part in shards.shards()])
    owner = owner.reshape(docs.shape)
    for row in range(len(docs)):
        assert owner[row, 0] == next(doc for doc in docs[row].tolist() if doc >= 0)
        np.testing.assert_array_equal(owner[row, 1:], docs[row, 1:])


def test_values_do_not_depend_on_batches_or_blocks(world, half, monkeypatch):
    monkeypatch.setattr(reconstruction, "BLOCK_ROWS", 5)
    other = estimates(world.evaluate(world.folder / "half", "small", batch=7))
    for name, value in estimates(half).items():
        assert other[name] == pytest.approx(value, rel=1e-5, abs=1e-7), name


def test_every_metric_is_recomputed_from_its_table(half):
    for metric in read_json(half / "metrics.json")["metrics"]:
        values = reading.values_of(half, metric["name"])
        assert values.estimate() == pytest.approx(metric["estimate"])
        assert metric["n"] == len(values)
        assert metric["ci"][0] <= metric["estimate"] <= metric["ci"][1]


def test_latents_are_counted_on_the_documents_tokens(world):
    """One latent always fires, one only on BOS, the others never."""
    bos = world.stored(SAE.input_hook)["activations"][0]
    others = world.rows(SAE.input_hook)

    def edit(coder: SparseCoder) -> None:
        coder.encoder.weight.zero_()
        coder.encoder.bias.fill_(-1.0)
        coder.encoder.bias[0] = 2.0
        direction = bos / bos.norm()
        highest = float((others @ direction.double().numpy()).max())
        assert highest < float(bos.norm())  # BOS stands apart, so a threshold can single it out
        coder.encoder.weight[1] = direction
        coder.encoder.bias[1] = -(highest + float(bos.norm())) / 2

    out = world.evaluate(world.coder("always", SAE, edit))
    scores = estimates(out)
    table = pq.read_table(out / "latents.parquet").to_pydict()
    assert scores["l0"] == 1.0
    assert table["density"][:3] == [1.0, 0.0, 0.0]
    assert table["mean_activation"][0] == 2.0
    assert scores["dead_share"] == 1 - 1 / (2 * D)
    assert scores["dense_share"] == 1 / (2 * D)
    facts = read_json(out / "metrics.json")["facts"]
    assert sum(facts["density_histogram"]["latents"]) + facts["dead"] == 2 * D


def test_half_precision_shards_give_the_same_scores_and_pass_the_live_check(tmp_path, half):
    world = World(tmp_path, torch.float16)
    out = world.evaluate(world.coder("half", SAE, halved))
    for name, value in estimates(half).items():
        assert estimates(out)[name] == pytest.approx(value, rel=1e-3, abs=1e-3), name
    assert 0 < read_json(out / "metrics.json")["facts"]["live_error"] < 1e-3


def test_equal_inputs_give_equal_bytes(world, half):
    assert folder_digest(half) == folder_digest(world.evaluate(world.folder / "half", "again"))


def test_activations_of_another_layer_are_refused(world):
    """An off-by-one layer under the right name: only the live model can tell."""
    coder = world.coder("shifted", SAE, halved)
    wrong = write_activations(
        world.model, world.tokens, HookPoint(0, "resid_post"), world.folder / "wrong"
    )
    meta = read_json(wrong / "meta.json") | {"hook_point": str(SAE.input_hook)}
    write_json(wrong / "meta.json", meta)
    right = world.activations[SAE.input_hook]
    world.activations[SAE.input_hook] = wrong
    try:
        with pytest.raises(GateError, match="splice parity"):
            world.evaluate(coder)
    finally:
        world.activations[SAE.input_hook] = right


def test_inputs_of_another_coder_are_refused(world, half):
    site = CoderSite.at(2, "resid_post")
    coder = world.coder("elsewhere", site, halved)
    shards = ActivationShards(world.activations[SAE.input_hook])
    encoded = codes.CodeShards(world.folder / "codes-half")
    with pytest.raises(LedgerError, match=r"reads layers.2.resid_post"):
        reconstruction.check_inputs(load_coder(coder), shards, shards, encoded)
    encoded.width = 7
    with pytest.raises(LedgerError, match="7 latents"):
        reconstruction.check_inputs(load_coder(world.folder / "half"), shards, shards, encoded)
