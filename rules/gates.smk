"""Gates: what must hold before a number may earn its row."""
