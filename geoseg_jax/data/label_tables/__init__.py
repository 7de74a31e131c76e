"""Label tables as plain data, one file a data set; geoseg_jax.data.labels makes tables of them."""
