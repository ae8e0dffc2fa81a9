"""A planted experiment: manifests of one reconstruction and all above it, made by hand."""

from pathlib import Path

from latent_ledger import experiment
from latent_ledger.artifacts.provenance import action_key, ingredients
from latent_ledger.artifacts.store import Store
from latent_ledger.ledger import ledger
from latent_ledger.ledger.row import Row
from latent_ledger.lib.files import canonical, read_json, write_json
from latent_ledger.planning import graph, paths
from tests.project import PROJECT

CODER = "sae-resid-k8-s0"
RUN = {
    "status": "done",
    "started": "2026-01-02T03:04:05+00:00",
    "seconds": 2.0,
    "git_commit": "abc1234",
    "device": "CPU",
    "threads": 1,
    "cost_usd": 0.0,
}
RECONSTRUCTION = f"reconstruction/{CODER}.json"


def metric(name, estimate, ci, **more):
    return {"name": name, "estimate": estimate, "ci": ci, "unit": "document", "n": 9, **more}


METRICS = [
    metric("variance_explained", 0.7, [0.6, 0.8]),
    metric("variance_explained_with_bos", 0.9, [0.8, 0.95]),
    metric("loss_recovered", 0.5, [0.4, 0.6]),
    metric("kl", 0.2, [0.1, 0.3]),
    metric("cosine", 0.9, [0.8, 0.95]),
    metric("l0", 8.0, [8.0, 8.0]),
    metric("dead_share", 0.1, None),
    metric("dense_share", 0.0, None),
]


PARITY = {"against": "TransformerLens", "bound": 1e-4, "relative_error": 0.0, "rows": 5}
PLANTED = {
    "language_model": (
        None,
        {
            "held_out_nats_per_token": 5.0,
            "held_out_bits_per_byte": 2.0,
            "held_out_tokens": 7,
            "parameters": 3,
            "training_tokens": 11,
        },
    ),
    "capture": (None, {"n_rows": 5, "parity": PARITY}),
    "train_coder": (None, {"tokens": 5, "steps": 2, "fvu": 0.3, "dead_share": 0.0}),
    "reader_fidelity": (
        [
            metric("jaccard", 1.0, None),
            metric("value_error_real", 0.0, None),
            metric("output_error_real", 0.0, None),
        ],
        {"against": "sparsify.SparseCoder", "rows": {"real": 9}, "tied_rows": 0},
    ),
    "reconstruction_nulls": (
        [
            metric("variance_explained_of_mean", 0.0, None),
            metric("variance_explained_of_target", 1.0, None),
            metric("largest_deviation", 0.0, None),
        ],
        {"tolerance": 1e-6},
    ),
    "reconstruction": (METRICS, None),
}
"""Rule -> metrics and facts of its manifests, as far as rows read them."""


class Planted:
    """Manifests made by hand, as the jobs would have made them, and the project behind them."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, Store(root / "store")
        overlay = PROJECT / "tests/workflow/micro.yaml"
        self.config = experiment.load(PROJECT / "config/tiny.yaml", [overlay])
        self.code = {}

    def code_digest(self, rule: str) -> str:
        return self.code.get(rule, f"code of {rule}")

    def environment(self, _settings) -> str:
        return "env"

    def at(self, name: str) -> Path:
        """Where a manifest of the experiment lies."""
        return self.root / paths.placed(name, self.config["experiment"])

    def make(self, path: str, metrics=None, facts=None) -> None:
        job = graph.jobs(self.config)[path]
        rule, settings = job.rule, job.settings
        digests = {
            name: read_json(self.at(source))["digest"]
            for name, source in job.named_inputs().items()
        }
        code = self.code_digest(rule)
        self.store.record_code(code, {f"{rule}:f": code, f"{rule}:g": "same"})
        made_by = canonical(ingredients(rule, settings, code, "env", digests))
        staged = self.store.stage()
        (staged / "who.txt").write_text(f"{path} {digests} {metrics} {facts}")
        if metrics:
            write_json(staged / "metrics.json", {"metrics": metrics, "facts": {}})
        key = action_key(made_by)
        manifest = self.store.commit(staged, facts=facts or {"tokens": 5}, key=key, made_by=made_by)
        self.store.record(key, manifest, RUN)
        manifest.write(self.at(path))
        write_json(self.at(f"records/{path}"), RUN)

    def make_all(self, **changed) -> None:
        """One reconstruction and everything above it; `changed`: rule -> metrics and facts."""
        jobs = graph.jobs(self.config)
        for name in graph.upstream(jobs, RECONSTRUCTION):
            self.make(name, *(PLANTED | changed).get(jobs[name].rule, (None, None)))

    def write(self) -> list[Row]:
        return ledger.Ledger(self.config, self.store, self, self.root).write()

    def row(self, run_id: str = f"recon-{CODER}") -> Row:
        return next(row for row in self.write() if row.run_id == run_id)


def planted_in(root: Path) -> Planted:
    """The whole planted experiment below a folder."""
    made = Planted(root)
    made.make_all()
    return made
