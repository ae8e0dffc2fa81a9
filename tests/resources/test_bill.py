"""Prices from the one table, and the bill made of them."""

import pytest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.resources import bill, prices
from latent_ledger.resources.prices import Prices

TABLE = Prices("2026-01-02", {"L4": 0.001}, 0.0001, 0.00001)
ONE_GIB = 1024**3 / 1e6
ITEMS = [
    bill.Item("train", "a", 600, "L4", 1, 2, ONE_GIB),
    bill.Item("train", "b", 1200, "L4", 1, 2, ONE_GIB),
    bill.Item("tell", "c", 60, None, 0, 1, ONE_GIB),
]


def test_the_table_is_the_plugins_and_is_dated():
    table = prices.prices()
    assert table.date.count("-") == 2
    assert set(table.gpus) >= {"L4", "A100-40GB"}
    assert table.gpus["A100-40GB"] > table.gpus["L4"] > 0


def test_every_known_gpu_has_a_price():
    from latent_ledger.resources.devices import gpus

    assert set(gpus()) <= set(prices.prices().gpus)


def test_costs_by_hand():
    # per second: GPU 0.001, two cores 0.0002, one GiB 0.00001
    assert ITEMS[0].cost(TABLE) == pytest.approx(600 * 0.00121)
    assert ITEMS[2].cost(TABLE) == pytest.approx(60 * 0.00011)
    assert bill.total(ITEMS, TABLE) == pytest.approx(1800 * 0.00121 + 60 * 0.00011)


def test_a_gpu_without_a_price_is_named():
    with pytest.raises(LedgerError, match="no price for the GPU B200"):
        TABLE.cost(1, "B200", 1, 1, 0)


def test_a_damaged_table_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / prices.FILE).write_text("date: [")
    monkeypatch.setattr(prices, "_path", lambda: tmp_path / prices.FILE)
    prices.prices.cache_clear()
    try:
        with pytest.raises(LedgerError, match="run envs/setup.sh"):
            prices.prices()
    finally:
        prices.prices.cache_clear()


def test_the_bill_sums_by_rule_and_in_all():
    lines = bill.by_rule(ITEMS, TABLE).splitlines()
    assert lines[0].split() == ["rule", "GPU", "jobs", "minutes", "USD"]
    assert lines[2].split() == ["train", "L4", "2", "30.0", "2.18"]
    assert lines[3].split() == ["tell", "-", "1", "1.0", "0.01"]
    assert lines[4].split() == ["total", "3", "31.0", "2.18"]
    assert "2026-01-02" in bill.summary(ITEMS, TABLE) and "$2.18" in bill.summary(ITEMS, TABLE)
    listed = bill.by_job(ITEMS, TABLE).splitlines()
    assert listed[3].split() == ["train", "b", "L4", "20.0", "1.45"]


def test_without_prices_there_are_minutes_only():
    assert bill.by_rule(ITEMS, None).splitlines()[-1].split() == ["total", "3", "31.0"]
    assert "$" not in bill.summary(ITEMS, None)


def test_a_budget_refuses_what_exceeds_it():
    assert bill.refusal(ITEMS, TABLE, 2.2) is None
    refusal = bill.refusal(ITEMS, TABLE, 2.1)
    assert "$2.10" in refusal and "$2.18" in refusal and "\n" not in refusal
