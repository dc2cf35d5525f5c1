"""What was measured, on one page: Markdown that a terminal shows well, too."""

import json
from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from flatness.analysis.bounds import bounds, check
from flatness.analysis.estimates import is_estimate
from flatness.analysis.quantities import NO_CURVATURE, quantities
from flatness.command.aligned import number, table, wrapped
from flatness.errors import BoundError
from flatness.glossary.estimates import QUANTITIES_OF_ESTIMATES

_ERROR = "_standard_error"


def summary(
    primitives: xr.Dataset,
    powers: Sequence[float],
    *,
    curves: Sequence[str] = (),
    when: str = "",
) -> tuple[str, str | None]:
    """The page of one measurement.

    Args:
        primitives: from `flatness.measure`, with the coordinate `image` and the attributes
            that `flatness.command.measure` gives them.
        powers: the k of Eq. 6 and 7.
        curves: blocks of Markdown that stand before the numbers.
        when: of a training it was measured, in words.

    Returns:
        The page, and the sentence of `flatness.analysis.bounds.check` where an inequality is
        violated.
    """
    values = quantities(primitives)
    found = None if is_estimate(primitives) else bounds(primitives, powers)
    attributes = {name: _decoded(value) for name, value in primitives.attrs.items()}
    notes = _Notes()
    measured = [*_network_rows(attributes, primitives), *_image_rows(attributes, primitives)]
    violation = None
    try:
        if found is not None:
            check(found, attributes["factory"])
    except BoundError as error:
        violation = str(error)
    blocks = [
        f"# {attributes['factory']}",
        table(("measured", ""), measured),
        *curves,
        "## Quantities",
        f"Means over the {primitives.sizes['sample']} samples{when}; six significant digits.",
        *_quantities(values, notes),
        *_layers(primitives, values, notes),
        "## Inequalities",
        *_inequalities(found, primitives, notes, violation),
        *(["Absent:", notes.text()] if notes.text() else []),
        "## Warnings",
        "\n".join(wrapped(text, "- ") for text in _warnings(primitives, values)) or "None.",
        "## Versions",
        _versions(attributes),
    ]
    return "\n\n".join(blocks) + "\n", violation


class _Notes:
    """Reasons for what is absent, each with a number of its own."""

    def __init__(self):
        self._reasons: list[str] = []

    def reference(self, reason: str) -> str:
        if reason not in self._reasons:
            self._reasons.append(reason)
        return f"absent ({self._reasons.index(reason) + 1})"

    def text(self) -> str:
        return "\n".join(wrapped(why, f"{k}. ") for k, why in enumerate(self._reasons, 1))


def _network_rows(attributes: dict, primitives: xr.Dataset) -> list[tuple[str, str]]:
    arguments = json.dumps(attributes["factory_arguments"], sort_keys=True)
    sizes = primitives.sizes
    rows = [("network", f"{attributes['factory']}, arguments {arguments}, eval mode")]
    if "layer" in attributes:
        rows.append(("layer", f"{attributes['layer']}, in the place of the network's output"))
    if "output" in attributes:
        rows.append(("output", f"entry {attributes['output']} of what is returned"))
    if "probes" in attributes:
        how = (
            f"{attributes['probes']} random combinations of the outputs, seed {attributes['seed']}"
        )
        rows.append(("estimate", f"from {how}, in the place of all outputs"))
    return [
        *rows,
        ("weights", _weights(attributes["weights"])),
        ("outputs N", f"{sizes['output']}"),
        ("parameters", f"{sizes['parameter']} tensors, all of them differentiated"),
        ("dtype, device", f"{attributes['dtype']}, {attributes['device']}"),
    ]


def _weights(weights: dict) -> str:
    """Where they are from."""
    if "files" in weights:
        first, *_, last = weights["files"]
        notes = [note for each in weights["files"] for note in each.get("notes", ())]
        return "; ".join(
            [
                f"{len(weights['files'])} files, {first['file']} to {last['file']}",
                *dict.fromkeys(notes),
            ]
        )
    if "file" not in weights:
        return f"as the factory gives them, seed {weights['random_seed']}"
    origin = f"{weights['file']}, SHA-256 {weights['sha256'][:12]}"
    if "shards" in weights:
        origin += f", {len(weights['shards'])} shards"
    if "entry" in weights:
        origin += f", entry {weights['entry']!r}"
    if "prefix" in weights:
        origin += f", names that begin with {weights['prefix']!r}"
    return "; ".join([origin, *weights.get("notes", ())])


def _image_rows(attributes: dict, primitives: xr.Dataset) -> list[tuple[str, str]]:
    images, normalisation = attributes["images"], attributes["normalisation"]
    names = primitives["image"].values
    size = f"{images['channels']} x {images['height']} x {images['width']}"
    mean, std = (
        ", ".join(f"{value:g}" for value in normalisation[name]) for name in ("mean", "std")
    )
    notes = f", {images['passed_over']} other files passed over" if "passed_over" in images else ""
    if "converted" in images:
        modes = ", ".join(f"{count} of mode {mode}" for mode, count in images["converted"].items())
        notes += f", converted: {modes}"
    return [
        (
            "images",
            f"{_how_many(images)} in {images['folder']} ({names[0]} to {names[-1]}), SHA-256 of "
            f"their list {images['sha256'][:12]}{notes}",
        ),
        *_class_rows(images.get("classes", [])),
        ("inputs", f"{size}{' (resized)' if images['resized'] else ''}"),
        ("normalisation", f"(pixels / 255 - mean) / std, mean {mean}, std {std}"),
    ]


def _class_rows(names: Sequence[str]) -> list[tuple[str, str]]:
    if not names:
        return []
    return [("classes", f"{len(names)} folders, {names[0]} to {names[-1]}; targets are one-hot")]


def _how_many(images: dict) -> str:
    measured, found = images["measured"], images["found"]
    return f"all {found}" if measured == found else f"{measured} of {found}, evenly spread,"


def _quantities(values: xr.Dataset, notes: _Notes) -> list[str]:
    rows = _quantity_rows(values, notes)
    if "probes" not in values.attrs:
        return [table(("name", "in words", "value", "paper"), rows)]
    errors = [name for name in values if name in QUANTITIES_OF_ESTIMATES and name.endswith(_ERROR)]
    of = {name.removesuffix(_ERROR): number(values[name]) for name in errors}
    rows = [(*row[:3], of.get(row[0], ""), row[3]) for row in rows if row[0] not in errors]
    sentence = (
        "Estimates: standard errors are those of the mean over these very samples, from "
        f"{values.attrs['probes']} random combinations of the outputs of each. The maximum local "
        "sensitivity is a lower bound by Lanczos iterations, beside its mean residual. Roots of "
        "estimates are biased downwards."
    )
    headings = ("name", "in words", "value", "standard error", "paper")
    return [wrapped(sentence), table(headings, rows)]


def _inequalities(
    found: xr.Dataset | None, primitives: xr.Dataset, notes: _Notes, violation: str | None
) -> list[str]:
    if found is None:
        return ["Not looked at: the noise of estimates would violate them."]
    return [
        wrapped(
            "Left at most right; slack = log10(right / left). Of an inequality that holds for "
            "every sample, the sample with the least slack is given. What each of them says is "
            "listed in docs/inequalities.md of the documentation."
        ),
        table(
            ("name", "log10 left", "log10 right", "slack", "sample"),
            _inequality_rows(found, primitives),
        ),
        *_absent(found, notes),
        wrapped(violation or _outcome(found)),
    ]


def _quantity_rows(values: xr.Dataset, notes: _Notes) -> list[tuple[str, ...]]:
    rows = []
    for name, value in values.items():
        if "layer" not in value.dims:
            cell = _cell(value, notes)
            rows.append((name, value.attrs["long_name"], cell, value.attrs.get("equation", "")))
    return rows


def _cell(value: xr.DataArray, notes: _Notes, **where: str) -> str:
    """A number, or a reference to why there is none."""
    absent = value.attrs.get("absent")
    if absent == NO_CURVATURE:
        absent = "curvature needs targets: --class-folders, or flatness.curvature in Python"
    return notes.reference(absent) if absent else number(value.sel(where))


def _layers(primitives: xr.Dataset, values: xr.Dataset, notes: _Notes) -> list[str]:
    """A section with one row for each layer, where there is one."""
    if primitives.sizes["layer"] == 0:
        return []
    norms, holds = primitives["layer_operator_norm"], primitives["layer_eq4_holds"]
    of_layers = [values[name] for name in ("layer_mls", "layer_mean_log_volume")]
    rows = [
        (
            str(layer),
            *(_cell(value, notes, layer=layer) for value in of_layers),
            number(norms.sel(layer=layer)),
            "yes" if holds.sel(layer=layer) else "no",
        )
        for layer in primitives["layer"].values
    ]
    headings = (
        "layer",
        *(value.attrs["long_name"] for value in of_layers),
        "spectral norm (convolutions: bound)",
        "Eq. 4 holds",
    )
    reader = norms.attrs.get("input_layer")
    if reader is not None:
        name = f"`{reader}`" if reader else "the network itself"
        sentence = f"The images are read by {name}, their only way to the output."
    else:
        sentence = f"No layer reads the images: {norms.attrs['absent']}."
    return ["## Layers", wrapped(sentence), table(headings, rows)]


def _inequality_rows(found: xr.Dataset, primitives: xr.Dataset) -> list[tuple[str, ...]]:
    """Those that apply."""
    absent = json.loads(found["slack"].attrs["absent"])
    rows = []
    for name in found["inequality"].values:
        if name in absent:
            continue
        one = found.sel(inequality=name)
        position = int(one["tightest_sample"])
        tightest = position >= 0 and np.isfinite(one["slack"])
        sample = str(primitives["image"].values[position]) if tightest else ""
        sides = (number(one[side]) for side in ("log10_left", "log10_right", "slack"))
        rows.append((name, *sides, sample))
    return rows


def _absent(found: xr.Dataset, notes: _Notes) -> list[str]:
    """The names of those that do not apply, a paragraph for each reason."""
    names: dict[str, list[str]] = {}
    for name, reason in json.loads(found["slack"].attrs["absent"]).items():
        names.setdefault(notes.reference(reason), []).append(f"`{name}`")
    return [
        wrapped(f"Of {found.sizes['inequality']} inequalities {reference}: {', '.join(which)}.")
        for reference, which in names.items()
    ]


def _outcome(found: xr.Dataset) -> str:
    """How the check went that raised nothing."""
    slack = found["slack"].dropna("inequality")
    smallest = slack.isel(inequality=int(np.argmin(slack.values)))
    return (
        f"All {slack.size} inequalities that apply hold, to rounding. The smallest slack is "
        f"{number(smallest)} (`{smallest['inequality'].item()}`)."
    )


def _warnings(primitives: xr.Dataset, values: xr.Dataset) -> Iterable[str]:
    if not is_estimate(primitives):
        yield from _about_singular_values(primitives, values)
    if without := int((primitives["input_norm"] == 0).sum()):
        yield (
            f"The input's norm is 0 for {without} of {primitives.sizes['sample']} samples; bounds "
            "that divide by it say nothing."
        )
    undefined = [
        name
        for name, value in values.items()
        if "absent" not in value.attrs and np.isnan(value.values).any()
    ]
    if undefined:
        yield f"Not a number, as where the Jacobian of a sample is zero: {', '.join(undefined)}."


def _about_singular_values(primitives: xr.Dataset, values: xr.Dataset) -> Iterable[str]:
    total = primitives["singular_value"].size
    dtype = primitives.attrs["dtype"]
    if zero := int(values["zero_singular_values"]):
        yield (
            f"{zero} of {total} singular values are exactly zero, so the log volume is minus "
            "infinity. That is so where outputs do not depend on the input, as behind a ReLU "
            "that is off, or depend on each other."
        )
    if unresolved := int(values["unresolved_singular_values"]):
        advice = "Measure with --dtype float64." if dtype == "float32" else "Do not rely on it."
        yield (
            f"{unresolved} of {total} singular values are smaller than {dtype} resolves: they are "
            f"rounding, and the log volume rests on them. {advice}"
        )


def _versions(attributes: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in attributes["versions"].items())
    return wrapped(
        f"{attributes['source']}, commit {attributes['commit']}; {versions}, "
        f"{attributes['images']['decoder']}; {attributes['machine']}, threads: "
        f"{attributes['threads']}."
    )


def _decoded(value):
    """An attribute as it was before provenance made it text."""
    return json.loads(value) if isinstance(value, str) and value.startswith(("{", "[")) else value
