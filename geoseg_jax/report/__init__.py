"""What a study found, for people: tables, figures and a page; numpy and matplotlib, never jax."""
