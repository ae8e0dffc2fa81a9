"""The page about configurations is made from the schema, and shows what one sees."""

from __future__ import annotations

import re

import pytest

from latent_ledger.config.docs import PAGE, describe
from latent_ledger.config.schema_file import schema
from latent_ledger.experiment import ConfigError, validate
from tests.config.test_schema_file import EVERY
from tests.project import PROJECT


def test_the_page_is_current_and_hides_nothing():
    page = describe(schema())
    assert (PROJECT / PAGE).read_text(encoding="utf-8") == page, "run: latent-ledger docs"
    for number, line in enumerate(page.splitlines(), 1):
        outside = "".join(line.split("`")[::2])
        assert not re.search(r"<\w", outside), f"line {number} would be taken for HTML: {line}"
    for path in EVERY:
        assert f"`{path[-1]}`" in page or f"{path[-1]}`" in page, path


def test_example_on_the_page_is_the_real_message(tiny):
    coder = tiny["coders"]["sae-resid"]
    coder["lyaer"] = coder.pop("layer")
    tiny["evaluations"]["probing"]["concepts"] = ["actor", "athelete"]
    with pytest.raises(ConfigError) as caught:
        validate(tiny)
    shown = "".join(f"    {line}\n" for line in str(caught.value).splitlines())
    assert shown in (PROJECT / PAGE).read_text(encoding="utf-8")
