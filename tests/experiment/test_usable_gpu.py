"""Jobs that were given a GPU and cannot use it, with a made-up driver."""

import logging

import pytest
import torch

from flatness.errors import DeviceError
from flatness.experiment import device, usable_gpu
from flatness.experiment.device import configure
from flatness.experiment.usable_gpu import driver, given_gpu, has_kernels, why_unusable

VARIABLES = (usable_gpu._COUNT, *usable_gpu._LISTS)


@pytest.fixture
def without_gpu(monkeypatch):
    """A machine on which torch finds no GPU, in a job that was given none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    yield monkeypatch
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLURM_JOB_GPUS", "0"),
        ("SLURM_STEP_GPUS", "2,3"),
        ("SLURM_GPUS_ON_NODE", "1"),
        ("GPU_DEVICE_ORDINAL", "0"),
        ("CUDA_VISIBLE_DEVICES", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"),
    ],
)
def test_a_job_that_was_given_a_gpu_does_not_compute_on_the_cpu(without_gpu, name, value):
    without_gpu.setenv(name, value)
    with pytest.raises(DeviceError) as caught:
        configure("auto", 1)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"device = 'auto', and this job was given a GPU ({name}={value}), ")
    assert "Allowed here: cpu. Set device to cpu," in message
    assert configure("cpu", 1).type == "cpu"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLURM_GPUS_ON_NODE", "0"),
        ("CUDA_VISIBLE_DEVICES", ""),
        ("CUDA_VISIBLE_DEVICES", "-1"),
        ("CUDA_VISIBLE_DEVICES", "NoDevFiles"),
    ],
)
def test_a_job_that_was_given_none_takes_the_cpu(without_gpu, name, value):
    without_gpu.setenv(name, value)
    assert configure("auto", 1) == torch.device("cpu")


def test_of_several_variables_one_is_named():
    assert given_gpu({"SLURM_JOB_GPUS": "1", "CUDA_VISIBLE_DEVICES": "0"}) == "SLURM_JOB_GPUS=1"
    assert given_gpu({}) is None


def test_an_old_driver_is_named(without_gpu, tmp_path):
    def too_old():
        raise RuntimeError(
            "The NVIDIA driver on your system is too old (found version 12080). Please update "
            "your GPU driver by downloading and installing a new version from the URL: ..."
        )

    without_gpu.setattr(torch.version, "cuda", "13.2")
    without_gpu.setattr(torch.cuda, "init", too_old)
    assert why_unusable().startswith(
        "The NVIDIA driver on your system is too old (found version 12080); "
        f"torch {torch.__version__} is built for CUDA 13.2, "
    )
    with pytest.raises(DeviceError, match=r"'cuda', but torch finds no usable GPU: The NVIDIA d"):
        configure("cuda", 1)


def test_a_torch_without_cuda_is_named(without_gpu):
    without_gpu.setattr(torch.version, "cuda", None)
    assert why_unusable() == f"torch {torch.__version__} is built without CUDA"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 2023\n",
            "the driver is 535.104.05",
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n",
            "the driver is 580.65.06",
        ),
        ("something else", "the driver is of an unknown version"),
        (None, "no NVIDIA driver is loaded"),
    ],
)
def test_the_version_of_the_driver(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "version").write_text(text)
    assert driver(tmp_path / "version") == expected


@pytest.mark.parametrize(
    ("capability", "architectures", "fits"),
    [
        ((9, 0), ["sm_75", "sm_90", "sm_120"], True),
        ((8, 9), ["sm_80", "sm_86"], True),
        ((8, 0), ["sm_86"], False),
        ((7, 0), ["sm_75", "sm_80"], False),
        ((13, 0), ["sm_120", "compute_120"], True),
        ((7, 0), ["compute_75"], False),
        ((9, 0), ["sm_90a"], True),
        ((9, 1), ["sm_90a"], False),
        ((10, 3), ["sm_100"], True),
        ((9, 0), [], False),
    ],
)
def test_kernels_that_run_on_a_card(capability, architectures, fits):
    assert has_kernels(capability, architectures) is fits


@pytest.fixture
def made_up_gpu(monkeypatch):
    """A machine with one GPU, of which nothing but its facts is used; settings are put back."""
    backends = torch.backends
    of_precision = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
    before = [each.fp32_precision for each in of_precision]
    flags = backends.cudnn.deterministic, backends.cudnn.benchmark
    threads = torch.get_num_threads()
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda gpu: "A card")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda gpu: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90"])
    yield monkeypatch
    backends.cudnn.deterministic, backends.cudnn.benchmark = flags
    for each, precision in zip(of_precision, before, strict=True):
        each.fp32_precision = precision
    torch.set_num_threads(threads)


def test_a_gpu_computes_in_float32_in_recurrent_layers_too(made_up_gpu, caplog):
    caplog.set_level(logging.INFO)
    torch.backends.cudnn.rnn.fp32_precision = "tf32"
    assert configure("auto", 1) == torch.device("cuda")
    assert torch.backends.cudnn.rnn.fp32_precision == "ieee"
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert "computing on A card (cuda): torch" in caplog.text


def test_a_card_without_kernels_is_refused(made_up_gpu):
    made_up_gpu.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80"])
    with pytest.raises(DeviceError, match=r"A card has compute.* 9\.0, .*Allowed: sm_75, sm_80\. "):
        configure("auto", 1)


def test_every_log_names_the_cpu(without_gpu, caplog):
    caplog.set_level(logging.INFO, logger=device.__name__)
    configure("auto", 2)
    assert "computing on the CPU with 2 threads" in caplog.text
