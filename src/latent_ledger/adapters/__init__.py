"""Our coders in the form other libraries want, each checked by a gate before it is used."""
