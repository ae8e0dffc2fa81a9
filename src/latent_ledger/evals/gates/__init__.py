"""Gates: checks that run before a number may be measured, and block what depends on them."""
