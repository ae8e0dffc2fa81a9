"""Fixtures of the planted coder: its examples, and a run through all stages."""

import json

import pytest

from tests.evaluations.autointerp import planted


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Codes, tokens and model of the planted coder."""
    return planted.folders(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def made(folders, tmp_path_factory):
    """The payload of its examples, and the facts."""
    from latent_ledger.evaluations.autointerp import examples

    out = tmp_path_factory.mktemp("examples")
    return out, examples.produce(planted.SETTINGS, **folders, out=out)


@pytest.fixture(scope="session")
def latents(made):
    """Its latents as they are scored."""
    from latent_ledger.evaluations.autointerp import records

    return records.read(made[0])


@pytest.fixture
def run(made, tmp_path, monkeypatch):
    """Explain, score and collect by one client: metrics by name, the last folder, all facts."""
    from latent_ledger.evaluations.autointerp import collect, explain, score
    from latent_ledger.evaluations.autointerp.protocol import ASKED
    from latent_ledger.scorers import opening

    def through(client, *, scores=ASKED, settings=None, cache=None, log=None):
        if client is not None:
            monkeypatch.setattr(opening, "open_client", lambda *_: client)
        settings = settings or {"backend": client.name}
        stages = {name: tmp_path / name for name in ("explain", "score", "collect")}
        for folder in stages.values():
            folder.mkdir(exist_ok=True)
        explained = explain.produce({"scorer": settings}, made[0], stages["explain"], cache, log)
        asked = score.produce(
            {"scorer": settings, "scores": list(scores), "examples_shown": 5, "seed": 0},
            made[0],
            stages["explain"],
            stages["score"],
            cache,
            log,
        )
        collected = collect.produce(
            {
                "scorer_or_encoder": "it",
                "examples_shown": 5,
                "resamples": 200,
                "seed": 0,
                "reference_frequency": 0.01,
            },
            made[0],
            stages["collect"],
            explanations=stages["explain"],
            scores=stages["score"],
        )
        records = json.loads((stages["collect"] / "metrics.json").read_text())["metrics"]
        by = {record["name"]: record for record in records}
        return by, stages, {"explain": explained, "score": asked, "collect": collected}

    return through
