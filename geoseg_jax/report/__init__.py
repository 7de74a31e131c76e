"""Reports a study as tables, figures and a page; numpy and matplotlib, never jax."""
