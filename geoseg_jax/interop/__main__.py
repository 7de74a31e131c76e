"""The command under the package's name: see geoseg_jax.weights."""

import sys

from geoseg_jax.weights import main

if __name__ == "__main__":
    sys.exit(main())
