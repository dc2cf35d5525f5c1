#!/bin/sh
# Adds the package itself to the environment that `snakemake --software-deployment-method conda`
# makes; Snakemake runs this in the repository's folder.
set -e
python -m pip install --no-deps --no-build-isolation --editable .
