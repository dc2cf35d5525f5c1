"""The digits as an entry of `datasets` in the configuration."""

DIGITS = {
    "source": "digits",
    "classes": "all",
    "outputs": 10,
    "normalisation": "none",
    "samples": 30,
    "sample_seed": 0,
}
