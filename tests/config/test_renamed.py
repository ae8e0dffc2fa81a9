"""Old names of keys mean the new ones, and are reported."""

from latent_ledger.experiment import validate
from tests.config.experiments import lines, small


def old_names(raw: dict) -> dict:
    """The same configuration as an older file would write it."""
    names = {"architecture": "kind", "input_hook": "reads", "output_hook": "writes"}
    coders = {
        name: {names.get(key, key): value for key, value in coder.items()}
        for name, coder in raw["coders"].items()
    }
    return raw | {"coders": coders}


def test_an_old_configuration_is_the_same_experiment_and_each_use_is_one_line(capsys):
    assert validate(old_names(small())) == validate(small())
    notices = capsys.readouterr().err.splitlines()
    assert (
        "coders.sae-resid.kind is now called architecture; the old name ends with 0.3." in notices
    )
    assert len(notices) == len(set(notices)) >= 8


def test_old_names_of_selections_and_backends_are_known(capsys):
    raw = small()
    raw["evaluations"]["probing"]["at"] = {"seeds": [0, 1]}
    config = validate(raw)
    assert config["evaluations"]["probing"]["select"] == {"seeds": [0, 1]}
    assert "evaluations.probing.at is now called select" in capsys.readouterr().err


def test_an_old_name_beside_the_new_one_is_told_as_such():
    raw = small()
    raw["coders"]["sae-mlp"]["kind"] = "sae"
    expected = "the old name of architecture, which stands beside it; remove one of them"
    assert f"coders.sae-mlp.kind: {expected}" in lines(raw)
