"""Sentence embeddings from a local folder."""

import numpy as np
import pytest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers.embedding import Encoder, model_folder

TEXTS = ["The court heard the appeal.", "A judge ruled on the case.", "She scored two late goals."]


@pytest.fixture(scope="module")
def encoder():
    return Encoder("minilm")


def test_vectors_are_of_length_one_and_equal_for_equal_texts(encoder):
    first, second = encoder.encode(TEXTS), encoder.encode(TEXTS)
    assert first.shape == (3, 384) and first.dtype == np.float32
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-6)
    assert first.tobytes() == second.tobytes()
    assert encoder.encode(TEXTS[0]).shape == (384,)
    assert np.allclose(encoder.encode(TEXTS[0]), first[0], atol=1e-5)
    assert encoder.encode([]).shape[0] == 0


def test_texts_keep_their_order_and_close_ones_are_close(encoder):
    vectors = encoder.encode(TEXTS)
    assert np.allclose(encoder.encode(TEXTS[::-1]), vectors[::-1], atol=1e-5)
    (cosines,) = encoder.similarity(vectors[0], vectors)
    assert cosines[0] == pytest.approx(1, abs=1e-5) and cosines[1] > cosines[2] + 0.2


def test_similarity_is_the_cosine_of_any_vectors():
    a, b = np.array([3.0, 0.0]), np.array([[2.0, 2.0], [0.0, 5.0]])
    assert np.allclose(Encoder.similarity(a, b), [[0.5**0.5, 0.0]])


def test_folder_without_a_sentence_model_is_refused_in_one_line(tmp_path):
    with pytest.raises(LedgerError, match="has no modules.json.: write minilm, or a folder") as no:
        model_folder(str(tmp_path))
    assert "\n" not in str(no.value)
    (tmp_path / "modules.json").write_text("[]]")
    with pytest.raises(LedgerError, match="cannot be loaded as a sentence model") as broken:
        Encoder(str(tmp_path))
    assert "\n" not in str(broken.value)
