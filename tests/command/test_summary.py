"""The page says what was measured, and every number on it is that of the library."""

import json
import re
from importlib.metadata import version

import pytest
import torch

import flatness
from flatness.storage import read_dataset


def _table(page, heading):
    """Rows of the first table below a heading, by the first cell."""
    below = page.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in below.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    return {first: rest for first, *rest in cells}


def _below(page, heading):
    return page.partition(f"\n## {heading}\n\n")[2].partition("\n\n## ")[0]


def test_quantities_and_inequalities_are_those_of_the_library(here, measured):
    page = measured(powers=[1, 3])
    primitives = read_dataset(here / "out/found.nc")
    values = flatness.quantities(primitives)
    rows = _table(page, "## Quantities")
    assert set(rows) == set(values) - {"layer_mls", "layer_mean_log_volume"}
    for name, (words, value, equation) in rows.items():
        assert words == values[name].attrs["long_name"]
        assert equation == values[name].attrs.get("equation", "")
        if "absent" in values[name].attrs:
            assert value == "absent (1)"
        else:
            assert float(value) == pytest.approx(float(values[name]), rel=5e-6)
    assert "absent (1)" in rows["hessian_trace"]
    assert "1. curvature needs targets: --class-folders, or flatness.curvature" in page

    layers = _table(page, "## Layers")
    assert list(layers) == ["1", "4"]
    for name, (sensitivity, volume, norm, holds) in layers.items():
        here_only = {"layer": name}
        assert float(sensitivity) == pytest.approx(
            float(values["layer_mls"].sel(here_only)), rel=5e-6
        )
        assert float(volume) == pytest.approx(
            float(values["layer_mean_log_volume"].sel(here_only)), rel=5e-6
        )
        assert float(norm) == pytest.approx(
            float(primitives["layer_operator_norm"].sel(here_only)), rel=5e-6
        )
        assert holds == "yes"
    assert "The images are read by `1`, their only way to the output." in page

    found = flatness.bounds(primitives, powers=[1, 3])
    rows = _table(page, "## Inequalities")
    assert list(rows) == found["inequality"].values.tolist()
    assert "eq6_k3_all" in rows
    assert "eq6_k2_all" not in rows
    for name, (left, right, slack, sample) in rows.items():
        one = found.sel(inequality=name)
        for cell, side in ((left, "log10_left"), (right, "log10_right"), (slack, "slack")):
            assert float(cell) == pytest.approx(float(one[side]), rel=5e-6)
        position = int(one["tightest_sample"])
        assert sample == ("" if position < 0 else primitives["image"].values[position])
    slack = found["slack"]
    smallest = slack.isel(inequality=int(slack.values.argmin()))
    assert (
        f"All {slack.size} inequalities that apply hold, to rounding. The smallest slack is "
        f"{float(smallest):.6g} (`{smallest['inequality'].item()}`)."
    ) in " ".join(page.split())


def test_what_was_measured(here, measured):
    page = measured(samples=4, mean=[0.1, 0.2, 0.3], size=(4, 4), random_weights=2)
    found = read_dataset(here / "out/found.nc")
    assert page.startswith("# factories.py:dense\n\n| measured ")
    top = _table("\n" + page, "# factories.py:dense")
    digest = json.loads(found.attrs["images"])["sha256"]
    assert top == {
        "network": ["factories.py:dense, arguments {}, eval mode"],
        "weights": ["as the factory gives them, seed 2"],
        "outputs N": ["3"],
        "parameters": ["4 tensors, all of them differentiated"],
        "dtype, device": ["float32, cpu"],
        "images": [
            "4 of 6, evenly spread, in photos (a.png to c/d/1.BMP), SHA-256 of their list "
            + digest[:12]
        ],
        "inputs": ["3 x 4 x 4 (resized)"],
        "normalisation": ["(pixels / 255 - mean) / std, mean 0.1, 0.2, 0.3, std 1, 1, 1"],
    }
    versions = " ".join(_below(page, "Versions").split())
    assert versions.startswith(f"flatness {flatness.__version__}, commit {found.attrs['commit']}; ")
    assert f"torch {version('torch')}, " in versions
    assert versions.endswith("threads: 1.")
    assert _below(page, "Warnings") == "None."


def test_weights_from_a_file_are_named(here, measured):
    torch.save(torch.nn.Linear(48, 3).state_dict(), here / "weights|1.pt")
    (here / "one.py").write_text(
        "from torch import nn\n"
        "class Flat(nn.Linear):\n"
        "    def forward(self, x):\n"
        "        return super().forward(x.flatten(1))\n"
        "def network():\n"
        "    return Flat(48, 3)\n"
    )
    page = measured(factory="one.py:network", weights="weights|1.pt")
    digest = json.loads(read_dataset(here / "out/found.nc").attrs["weights"])["sha256"]
    assert _table("\n" + page, "# one.py:network")["weights"] == [
        f"weights\\|1.pt, SHA-256 {digest[:12]}"
    ]


def test_absent_inequalities_have_reasons(measured):
    page = measured(factory="factories.py:convolution")
    rows = _table(page, "## Inequalities")
    assert set(rows) == {
        *("eq11", "unshared_frobenius", "eq12_frobenius", "unshared_a_u", "unshared_u_v"),
        "nmls_unshared",
    }
    assert rows["eq11"][3].endswith((".png", ".BMP"))
    said = " ".join(_below(page, "Inequalities").split())
    assert "Of 28 inequalities absent (1): `eq5_frobenius`, `eq5_spectral`, `volume`, " in said
    assert "`a_b`, `b_c`, `c_d`, `eq13`, " in said
    assert "Of 28 inequalities absent (3): `nmls`." in said
    absent = " ".join(page.partition("\nAbsent:\n\n")[2].partition("\n\n## ")[0].split())
    assert absent == (
        "1. no linear layer reads the flattened inputs as they are and is their only way to the "
        "output, so Eq. 4 does not apply 2. curvature needs targets: --class-folders, or "
        "flatness.curvature in Python 3. Eq. 4 does not hold for layers 0"
    )
    assert _table(page, "## Layers")["0"][3] == "no"


def test_networks_without_layers_and_without_a_layer_that_reads_the_images(here, measured):
    page = measured(factory="factories.py:without_layers")
    assert "## Layers" not in page
    (here / "later.py").write_text(
        "from torch import nn\n"
        "def network():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Tanh(), nn.Linear(48, 3))\n"
    )
    page = measured(factory="later.py:network", overwrite=True)
    assert "No layer reads the images: no linear layer or convolution reads" in page


def test_zero_singular_values_are_a_warning(measured):
    page = measured(factory="factories.py:dead")
    warnings = " ".join(_below(page, "Warnings").split())
    assert warnings.startswith(
        "- 18 of 18 singular values are exactly zero, so the log volume is minus infinity. "
    )
    assert "- Not a number, as where the Jacobian of a sample is zero: local_dimension." in warnings
    rows = _table(page, "## Inequalities")
    assert rows["eq11"] == ["-inf", "-inf", "0", "a.png"]
    assert rows["eq12_sharpness"][2:] == ["inf", ""]
    assert _table(page, "## Quantities")["log_volume"][1] == "-inf"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_unresolved_singular_values_are_a_warning(here, measured, dtype):
    (here / "thin.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def network():\n"
        "    linear = nn.Linear(48, 2)\n"
        "    with torch.no_grad():\n"
        "        linear.weight.zero_()\n"
        "        linear.weight[0, 0] = 1\n"
        "        linear.weight[1, 1] = 1e-20\n"
        "    return nn.Sequential(nn.Flatten(), linear)\n"
    )
    page = measured(factory="thin.py:network", dtype=dtype)
    advice = {"float32": "Measure with --dtype float64.", "float64": "Do not rely on it."}[dtype]
    assert " ".join(_below(page, "Warnings").split()) == (
        f"- 6 of 12 singular values are smaller than {dtype} resolves: they are rounding, and the "
        f"log volume rests on them. {advice}"
    )


def test_a_black_image_is_a_warning(here, measured):
    from PIL import Image

    Image.new("RGB", (4, 4)).save(here / "photos/a.png")
    page = measured()
    warnings = " ".join(_below(page, "Warnings").split())
    assert (
        warnings
        == "- The input's norm is 0 for 1 of 6 samples; bounds that divide by it say nothing."
    )
    assert _table(page, "## Inequalities")["eq13"][2] == "inf"
