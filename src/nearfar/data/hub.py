"""Data sets by name from the Hugging Face hub, through `datasets`: plain formats only, nothing that runs code."""

from __future__ import annotations

from nearfar.data.raw import Raw
from nearfar.data.readers.saved import of_datasets
from nearfar.errors import DataError

BUILDERS = ("parquet", "csv", "json", "arrow", "imagefolder")


def open_hub(name: str) -> Raw:
    """The data set called ``owner/name``, or ``owner/name:configuration``.

    Raises
    ------
    DataError
        The extra is not installed, the hub cannot be reached, or the set would need code to be run.
    """
    try:
        import datasets
    except ImportError as e:
        raise DataError(
            f"{name!r} is no file or folder here; to read it from the hub install the extra.",
            hint="pip install 'nearfar[hub]'",
        ) from e
    owner, _, configuration = name.removeprefix("hf:").partition(":")
    try:
        builder = datasets.load_dataset_builder(owner, configuration or None)
        kind = builder.__module__.rpartition(".")[2]
        if kind not in BUILDERS:
            raise DataError(
                f"the data set needs the builder {kind!r}, which is not used here because it can run code.", where=name,
                hint=f"Only {', '.join(BUILDERS)} are.",
            )  # fmt: skip
        builder.download_and_prepare()
        return of_datasets(builder.as_dataset(), owner)
    except DataError:
        raise
    except Exception as e:  # the library raises many kinds; the person needs one sentence
        raise DataError(
            f"cannot be read from the hub ({type(e).__name__}: {str(e).partition(chr(10))[0]}).",
            where=name,
            hint="Is the name right, and is there a network? HF_HUB_OFFLINE=1 uses only what is cached.",
        ) from e  # fmt: skip
