"""The catalogue read back from its declarations: facts and costs of every method, what each is for, and what none is."""
