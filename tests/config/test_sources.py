"""What a model's own files say of its shape, before any job has loaded it."""

from __future__ import annotations

import json

from tests.config.experiments import KINDS, lines


def test_layers_and_context_of_a_local_model_are_read_from_it(tiny, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    shape = {"text_config": {"num_hidden_layers": 2, "max_position_embeddings": 32}}
    (folder / "config.json").write_text(json.dumps(shape))
    tiny["model"] = {"source": "./model"}
    assert lines(tiny) == [
        "tokens.context: 64 is longer than the model's context of 32",
        *[f"coders.{name}.layer: 2 is beyond the model, whose layers are 0 to 1" for name in KINDS],
        "evaluations.probing.context: 64 is longer than the model's context of 32",
    ]


def test_layers_of_a_hub_model_are_known_once_it_is_cached(tiny, tmp_path):
    tiny["model"] = {"source": "some/model", "revision": "v1"}
    tiny["coders"]["sae-mlp"]["layer"] = 99
    assert lines(tiny) == []
    cached = tmp_path / "hub-cache" / "models--some--model"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "v1").write_text("abc123")
    (cached / "snapshots" / "abc123").mkdir(parents=True)
    (cached / "snapshots" / "abc123" / "config.json").write_text('{"num_hidden_layers": 26}')
    assert lines(tiny) == ["coders.sae-mlp.layer: 99 is beyond the model, whose layers are 0 to 25"]
