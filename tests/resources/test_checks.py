"""Mistakes in the hardware block and the budget, each told in one line."""

from latent_ledger.config import schema_file
from latent_ledger.experiment import load
from latent_ledger.resources.devices import gpus
from latent_ledger.resources.prices import prices
from tests.config.experiments import TINY, lines, put, small


def problem_lines(**keys) -> list[str]:
    """Problems of the small experiment with these keys; a double underscore is a dot."""
    raw = small()
    for key, value in keys.items():
        put(raw, key.replace("__", "."), value)
    return lines(raw)


def test_default_hardware_requests_no_gpu():
    config = load(TINY)
    assert config["hardware"] == {"gpus": [], "gpu": {}, "names": {}}
    assert config["budget_usd"] is None


def test_an_unknown_gpu_gets_the_nearest_name():
    (line,) = problem_lines(hardware__gpus=["A100-40G"])
    assert line.startswith("hardware.gpus[0]: ") and 'did you mean "A100-40GB"?' in line


def test_list_that_falls_in_size_is_refused():
    (line,) = problem_lines(hardware__gpus=["A100-40GB", "L4"])
    assert line == (
        "hardware.gpus[1]: L4 is smaller than A100-40GB before it, so no job would get it; "
        "swap them"
    )


def test_a_rule_that_has_no_gpu_is_refused():
    (line,) = problem_lines(hardware__gpus=["L4"], hardware__gpu={"train_codr": "L4"})
    assert line == 'hardware.gpu.train_codr: unknown key; did you mean "train_coder"?'


def test_a_rules_gpu_needs_the_list():
    (line,) = problem_lines(hardware__gpu={"train_coder": "L4"})
    assert line.startswith("hardware.gpu.train_coder: hardware.gpus is empty")


def test_budget_of_another_type_is_refused():
    assert problem_lines(budget_usd=12.5) == []
    assert problem_lines(budget_usd="ten")[0].startswith("budget_usd: ")
    assert problem_lines(budget_usd=-1) == ["budget_usd: -1 is below the least value 0"]


def test_scheduler_name_of_an_unknown_gpu_is_refused():
    assert schema_file.schema()["properties"]["hardware"]["properties"]["names"]
    (line,) = problem_lines(hardware__names={"A100-40": "a100"})
    assert 'did you mean "A100-40GB"?' in line


def test_gpus_of_the_schema_are_those_with_numbers_and_prices():
    block = schema_file.schema()["properties"]["hardware"]["properties"]
    known = list(gpus())
    assert block["gpus"]["items"]["enum"] == known
    assert list(block["names"]["properties"]) == known
    for part in block["gpu"]["properties"].values():
        assert part["enum"] == known
    assert list(prices().gpus) == known
