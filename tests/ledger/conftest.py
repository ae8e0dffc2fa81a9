import pytest

from tests.ledger.planted import Planted, planted_in


@pytest.fixture
def planted(tmp_path) -> Planted:
    return planted_in(tmp_path)
