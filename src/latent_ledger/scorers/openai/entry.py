"""The backend ``openai``: an endpoint that speaks OpenAI's chat completions; answers are kept."""

from latent_ledger.scorers.kind import ScorerKind, waiting

ASKED = ("concurrency", "retries", "timeout", "temperature", "max_tokens", "logprobs")
"""Settings of every client that sends chat completions."""


KIND = ScorerKind(
    name="openai",
    label=lambda settings: settings["model"],
    cost=waiting,
    needs=("base_url", "model"),
    takes=("api_key_env", *ASKED),
)
