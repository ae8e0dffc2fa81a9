"""Each number in a row of reconstruction, and in the section, is the metric it is said to be."""

from latent_ledger.evaluations.reconstruction import rows
from latent_ledger.planning.stage import RowPlan
from tests.evaluations import made_up

METRICS = made_up.metrics(
    "document",
    {
        "variance_explained": 0.71,
        "variance_explained_with_bos": 0.92,
        "loss_recovered": 0.53,
        "kl": 0.1234,
        "cosine": 0.84,
        "l0": 31.7,
        "dead_share": 0.06,
        "dense_share": 0.02,
    },
)
ROW = RowPlan("recon-sae-k8-s0", "reconstruction", "", {"sparsity": "k=8"})


def test_every_number_of_the_row_is_the_metric_before_it(tmp_path):
    payload = made_up.payload(tmp_path, METRICS, tokens=12_345)
    finding = made_up.read(rows, ROW, payload, "variance_explained", 0.0)
    assert finding.key_results == (
        "variance explained 0.710 [0.700, 0.730] (n=10 documents; 0.920 [0.910, 0.940] with BOS); "
        "loss recovered 0.530 [0.520, 0.550] (n=12 documents); "
        "KL 0.1234 [0.1134, 0.1434] nats/token; cosine 0.840 [0.830, 0.860]; "
        "dead 6.0%, dense 2.0% of 16 latents"
    )
    assert finding.columns == {"sparsity": "k=8, L0=31.7", "tokens": "12,345"}


def test_every_cell_of_the_section_is_the_metric_above_it(tmp_path):
    assert made_up.line(rows, ROW, made_up.payload(tmp_path, METRICS, tokens=12_345)) == {
        "variance explained": "0.710 [0.700, 0.730]",
        "loss recovered": "0.530 [0.520, 0.550]",
        "KL (nats/token)": "0.1234 [0.1134, 0.1434]",
        "L0": "31.7",
        "dead": "6.0%",
        "dense": "2.0%",
        "n": "10 documents",
    }
