"""The exception for a person: a line that says what is wrong and what to do about it."""

from snakemake_interface_common.exceptions import ApiError


class ModalError(ApiError):
    """Something a person can put right. Snakemake shows an ApiError as one line, untraced."""
