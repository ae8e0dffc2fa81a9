"""The backend ``lexical``: rules over the tokens in the prompt; no model, deterministic."""

from latent_ledger.resources.work import Work
from latent_ledger.scorers.kind import ScorerKind

KIND = ScorerKind(
    name="lexical",
    label=lambda settings: "no model",
    cost=lambda settings, questions, model: Work(seconds=5 + 0.1 * questions.latents),
)
