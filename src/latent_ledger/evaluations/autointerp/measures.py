"""Measures of a latent's answers, and their values at another firing frequency.

Rare latents are easier to distinguish than frequent ones, and coders differ in how often their
latents fire. Every mean over latents therefore comes with a *frequency-adjusted* one, at the same
reference frequency for all coders.
"""

from dataclasses import dataclass

import numpy as np

from latent_ledger.statistics.resampling import Values


@dataclass(frozen=True)
class Summary:
    """One latent under one score; NaN where undefined."""

    parsed: int = 0
    accuracy: float = np.nan
    balanced_accuracy: float = np.nan
    auroc: float = np.nan


def summarise(labels: np.ndarray, predictions: np.ndarray, probabilities: np.ndarray) -> Summary:
    """Accuracy, mean recall of both classes, and AUROC, over the readable answers.

    All [n] float: `labels` are 0 or 1; `predictions` and `probabilities` are NaN where missing.
    Balanced accuracy and AUROC need an answer of either class, and the AUROC a probability with
    every answer.
    """
    read = ~np.isnan(predictions)
    labels, predicted, likely = labels[read], predictions[read], probabilities[read]
    correct = labels == predicted
    accuracy = float(correct.mean()) if read.any() else np.nan
    balanced = auroc = np.nan
    if {0, 1} <= set(labels.tolist()):
        balanced = float(np.mean([correct[labels == label].mean() for label in (0, 1)]))
        if not np.isnan(likely).any():
            auroc = Values(np.arange(len(labels)), "auroc", likely, labels).estimate()
    return Summary(int(read.sum()), accuracy, balanced, auroc)


def adjusted(scores: np.ndarray, frequency: np.ndarray, reference: float) -> np.ndarray | None:
    """Per latent a value whose mean is the score at the reference frequency; [n], or None.

    With ``x = log10 frequency`` and the fitted line's value ``y0`` at the reference ``x0``, the
    prediction is ``sum h_i y_i``, ``h_i = 1/n + (x0 - mean x)(x_i - mean x) / sum (x - mean x)^2``.
    The values ``y0 + n h_i r_i`` (r: residuals) have the mean ``y0``, because residuals sum to zero
    against 1 and x, and the variance of their mean is the heteroscedasticity-robust one of y0
    (White 1980): a bootstrap over latents then includes the error of the slope. None for
    fewer than three latents, or if all fire equally often.
    """
    x = np.log10(frequency)
    centred = x - x.mean()
    spread = (centred**2).sum()
    if len(x) < 3 or spread < 1e-12:
        return None
    slope = (centred * scores).sum() / spread
    residuals = scores - scores.mean() - slope * centred
    off = np.log10(reference) - x.mean()
    weights = 1 / len(x) + off * centred / spread
    return scores.mean() + slope * off + len(x) * weights * residuals
