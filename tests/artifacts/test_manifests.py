"""Manifests that are no manifests."""

import pytest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, write_json
from tests.ledger.planted import RECONSTRUCTION, Planted, planted_in


@pytest.fixture
def planted(tmp_path) -> Planted:
    return planted_in(tmp_path)


@pytest.mark.parametrize("broken", ["[]", "{}", '{"digest": null}'])
def test_a_manifest_of_the_wrong_shape_is_named_in_one_line(planted, broken):
    path = planted.at(RECONSTRUCTION)
    content = read_json(path)
    path.write_text(broken)
    with pytest.raises(LedgerError, match="is no manifest"):
        planted.store.open(path)
    for change in ({"made_by": {}}, {"digest": None}):
        write_json(path, content | change)
        with pytest.raises(LedgerError, match="is no complete manifest"):
            planted.store.open(path)
