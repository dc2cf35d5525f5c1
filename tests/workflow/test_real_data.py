"""The whole way from the paper's datasets to a figure, for a few iterations."""

import os
from pathlib import Path

import pytest
import xarray as xr

DATA = Path(os.environ.get("FLATNESS_DATA", "data")).absolute()
CIFAR = DATA / "CIFAR10-airplane-automobile"


@pytest.mark.skipif(
    not (DATA / "FashionMNIST/raw").is_dir() or not CIFAR.is_dir(),
    reason=f"no FashionMNIST or {CIFAR.name} below {DATA}; FLATNESS_DATA may name another root",
)
def test_real_images_to_figures(workflow):
    workflow.config |= {
        "folders": {"results": "results", "data": str(DATA)},
        "datasets": {
            "cifar10": {"source": "image_folder", "path": str(CIFAR), "outputs": 10},
            "fashionmnist": {"source": "torchvision", "dataset": "FashionMNIST", "outputs": 10},
        },
        "studies": {
            f"{network}_{dataset}": {
                "network": {"name": network},
                "dataset": dataset,
                "loss": "half_squared_error",
                "sweep": [{"learning_rate": 0.1, "batch_size": 20}],
                "seeds": [0],
                "iterations": 200,
                "checkpoints": {"early": 1, "late": 2},
            }
            for network, dataset in (("vgg10", "cifar10"), ("mlp", "fashionmnist"))
        },
        "figures": {
            "fig1": {
                "kind": "trends",
                "study": "vgg10_cifar10",
                "compare": "learning_rate",
                "fixed": 20,
            },
            "figE8": {
                "kind": "trends",
                "study": "mlp_fashionmnist",
                "compare": "learning_rate",
                "fixed": 20,
            },
            "figS3": {"kind": "lemma", "studies": ["mlp_fashionmnist", "vgg10_cifar10"]},
        },
        "claims": {"vgg10": "vgg10_cifar10", "mlp": "mlp_fashionmnist"},
    }
    workflow.succeed("--cores", "2")
    results = workflow.folder / "results/small"
    for figure in ("fig1", "figE8", "figS3"):
        assert (results / f"figures/{figure}.png").stat().st_size > 50_000
        assert (results / f"figures/{figure}.pdf").stat().st_size > 10_000
    mlp = xr.load_dataset(results / "measurements/mlp_fashionmnist_lr0.1_bs20_seed0.nc")
    assert mlp["train_accuracy"][-1] > 0.5
    vgg = xr.load_dataset(results / "measurements/vgg10_cifar10_lr0.1_bs20_seed0.nc")
    assert vgg["train_loss"][-1] < vgg["train_loss"][0]
    assert dict(vgg.sizes)["parameter"] == 14
    assert (vgg["sample_count"].sel(sample_set=["train", "test"]) == 100).all()
    analysed = xr.load_dataset(results / "analysis/mlp_fashionmnist_lr0.1_bs20_seed0.nc")
    assert (analysed["slack"] > 0).all()
    analysed = xr.load_dataset(results / "analysis/vgg10_cifar10_lr0.1_bs20_seed0.nc")
    assert (analysed["slack"].sel(inequality=["unshared_a_u", "unshared_u_v", "eq11"]) > 0).all()
    assert (analysed["hessian_gap"] == 0).all()
