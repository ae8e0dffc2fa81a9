"""Texts of a data set of the Hugging Face hub: ``hub:<id>``, or ``hub:<id>:<configuration>``.

``settings``: ``revision`` (with a commit the corpus stays the same), ``split`` with slices as
the datasets library writes them (``train[:1%]``, ``train[:20000]``), ``text_field``. A data set in
the local cache is read without a network.
"""

from collections.abc import Iterator, Mapping

from latent_ledger.lib.errors import LedgerError
from latent_ledger.text.corpora.source import CorpusSource, require

PREFIX = "hub:"


def records(settings: Mapping, fields: tuple[str, ...]) -> Iterator[tuple[str, tuple]]:
    """Yield the records of one split; class labels come as their names.

    Raises :class:`LedgerError` if the data set cannot be had or lacks a field.
    """
    name, _, configuration = settings["source"].removeprefix(PREFIX).partition(":")
    dataset = _load(
        name, configuration or None, settings.get("revision"), settings.get("split") or "train"
    )
    require(fields, dataset.column_names, f"The data set {name}", known="it has")
    dataset = dataset.select_columns(list(fields))
    for batch in dataset.iter(batch_size=1000):
        for field, feature in dataset.features.items():
            if hasattr(feature, "names"):
                batch[field] = [None if i is None else feature.names[i] for i in batch[field]]
        for values in zip(*(batch[field] for field in fields), strict=True):
            yield name, values


def _load(name: str, configuration: str | None, revision: str | None, split: str):
    import datasets
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import HfHubHTTPError

    label = name + (f", configuration {configuration}" if configuration else "")
    try:
        return datasets.load_dataset(name, configuration, revision=revision, split=split)
    except DatasetNotFoundError as error:
        if "gated" in str(error).lower() or "authenticated" in str(error).lower():
            raise LedgerError(
                f"The data set {label} is gated: accept its terms on its page of the hub, then "
                "`hf auth login` (or set HF_TOKEN)."
            ) from None
        raise LedgerError(
            f"The hub has no data set {label} (revision {revision or 'main'}), or it is private: "
            "check corpus.source and corpus.revision, or `hf auth login`."
        ) from None
    except (ConnectionError, HfHubHTTPError) as error:
        raise LedgerError(
            f"The data set {label} is not in the local cache and the hub cannot be reached "
            f"({_first_line(error)}): connect once, unset HF_HUB_OFFLINE, or use "
            "corpus.source: embedded."
        ) from None
    except (ValueError, FileNotFoundError) as error:
        # Bad split, bad slice, missing configuration: the library's own line says which.
        raise LedgerError(
            f"The data set {label} cannot be read as asked: {_first_line(error)}"
        ) from None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


SOURCE = CorpusSource(name="hub", accepts=lambda source: source.startswith(PREFIX), records=records)
