"""What a study is follows from its settings."""

import pytest

from flatness.publication.deviations import deviations, nature
from flatness.settings import load_settings, read_settings


@pytest.fixture(scope="module")
def paper(root):
    return read_settings(root / "config/config.yaml").model_dump(exclude_none=True)


@pytest.fixture
def changed(root):
    """A function: the paper's settings with some of one study changed, as a mapping."""

    def change(study="vgg10_cifar10", **keys):
        mapping = read_settings(root / "config/config.yaml").model_dump(
            mode="json", exclude_none=True
        )
        mapping["figures"] = {}
        mapping["studies"][study] |= keys
        return load_settings(mapping, "changed").model_dump(exclude_none=True)

    return change


def test_the_paper_is_the_paper(paper):
    what = nature(paper, paper)
    assert (what.kind, what.title) == ("paper", "Reproduction")
    assert what.sentence == "The paper's settings, as config/config.yaml reads them"
    assert deviations(paper, paper) == [("none", "", "")]


def test_fewer_iterations_and_seeds_are_counted(paper, changed):
    what = nature(changed(iterations=60000, seeds=[0, 3]), paper)
    assert what.kind == "shortened"
    assert what.sentence == (
        "The paper's settings, shortened: vgg10_cifar10: 60,000 of 150,000 iterations, 2 of 5 seeds"
    )


def test_what_all_studies_share_is_said_once(paper, changed):
    both = changed(iterations=60000, seeds=[0])
    both["studies"]["mlp_fashionmnist"]["seeds"] = [3]
    assert nature(both, paper).sentence == (
        "The paper's settings, shortened: 1 of 5 seeds; vgg10_cifar10: 60,000 of 150,000 iterations"
    )


def test_the_shipped_configurations_say_what_they_are(root, paper):
    for name, kind in (("laptop", "shortened"), ("demo", "example")):
        settings = read_settings(root / f"config/{name}.yaml").model_dump(exclude_none=True)
        what = nature(settings, paper)
        assert what.kind == kind, what.sentence
        assert ("no test of the paper" in what.sentence) == (kind == "example")
        if kind == "example":
            assert "other data (digits in the place of CIFAR10)" in what.sentence
            assert "learning rates 5 times as high" in what.sentence


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"loss": "half_squared_error"}, "learning rates 5 times as high"),
        ({"loss": "cross_entropy"}, "loss cross_entropy in the place of mse"),
        (
            {"network": {"name": "vgg10", "activation": "tanh"}},
            "activation tanh in the place of relu",
        ),
        ({"iterations": 200000}, "200,000 iterations in the place of 150,000"),
        (
            {"sweep": [{"learning_rate": 0.3, "batch_size": 20}]},
            "learning rates in mse 0.3 in the place of 0.05, 0.1, 0.2",
        ),
        ({"sweep": [{"learning_rate": 0.1, "batch_size": 64}]}, "batch sizes 64"),
    ],
)
def test_other_settings_are_a_variant(paper, changed, keys, words):
    what = nature(changed(**keys), paper)
    assert what.kind == "variant"
    assert words in what.sentence


def test_the_same_steps_with_another_loss_are_not_other_rates(paper, changed):
    sweep = [
        {"learning_rate": each["learning_rate"] / 5, "batch_size": each["batch_size"]}
        for each in paper["studies"]["vgg10_cifar10"]["sweep"]
    ]
    what = nature(changed(loss="half_squared_error", sweep=sweep), paper)
    assert what.kind == "variant"
    assert "learning rate" not in what.sentence


def test_fewer_settings_or_networks_are_a_shorter_study(paper, changed):
    few = changed(sweep=[{"learning_rate": 0.1, "batch_size": 8}])
    assert nature(few, paper).sentence.endswith("vgg10_cifar10: 1 of 5 settings")
    one = changed()
    del one["studies"]["mlp_fashionmnist"]
    assert nature(one, paper).sentence == "The paper's settings, shortened: no mlp"


def test_learning_rates_stand_with_their_loss(paper, changed):
    rows = {row[0]: row[1:] for row in deviations(changed(loss="half_squared_error"), paper)}
    here, there = rows["vgg10_cifar10: sweep"]
    assert "learning rate 0.2 (half_squared_error; 1 in mse), batch size 20" in here
    assert "learning rate 0.2 (mse), batch size 20" in there


def _sweep(*pairs) -> list[dict]:
    return [{"learning_rate": rate, "batch_size": size} for rate, size in pairs]


_FIVE = ((0.05, 20), (0.1, 20), (0.2, 20), (0.1, 8), (0.1, 32))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"sweep": _sweep((0.05, 8), (0.1, 20), (0.2, 32), (0.1, 8), (0.1, 32))},
            "other pairs of learning rate and batch size (0.05 with 8, 0.2 with 32)",
        ),
        (
            {"sweep": _sweep(*_FIVE, (0.2, 32))},
            "other pairs of learning rate and batch size (0.2 with 32)",
        ),
        (
            {
                "loss": "half_squared_error",
                "sweep": _sweep((0.05, 8), (0.1, 20), (0.2, 32), (0.1, 8), (0.1, 32)),
            },
            "other pairs of learning rate and batch size (0.05 with 8, 0.2 with 32)",
        ),
        (
            {"checkpoints": {"early": 58, "late": 2}},
            "checkpoints early 58, late 2 in the place of early 20, late 40",
        ),
    ],
)
def test_other_pairs_and_schedules_are_a_variant(paper, changed, keys, words):
    what = nature(changed(**keys), paper)
    assert what.kind == "variant"
    assert what.sentence.endswith(words)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("datasets.cifar10.samples", 7, "vgg10_cifar10: samples 7 in the place of 100"),
        ("datasets.cifar10.sample_seed", 1, "vgg10_cifar10: sample seed 1 in the place of 0"),
        ("analysis.sample_set", "test", "sample set test in the place of train"),
        ("analysis.interpolation_accuracy", 0.5, "interpolation accuracy 0.5 in the place of"),
        ("measuring.hessian_probes", 8, "hessian probes 8 in the place of 16"),
        ("measuring.chunk_size", 50, None),
        ("training.threads", 2, None),
    ],
)
def test_other_images_and_conventions_are_a_variant(paper, changed, place, value, words):
    mapping = changed()
    *path, last = place.split(".")
    section = mapping
    for name in path:
        section = section[name]
    section[last] = value
    what = nature(mapping, paper)
    assert what.kind == ("variant" if words else "paper")
    assert (words or "") in what.sentence


def test_runs_that_are_not_there_are_missed(paper):
    whole = {"vgg10_cifar10": 25, "mlp_fashionmnist": 25}
    assert nature(paper, paper, whole).kind == "paper"
    assert nature(paper, paper, whole | {"mlp_fashionmnist": 23}).sentence == (
        "The paper's settings, shortened: 48 of 50 runs"
    )
    assert nature(paper, paper, {"vgg10_cifar10": 25}).sentence == (
        "The paper's settings, shortened: 25 of 50 runs; no mlp"
    )


def test_a_network_of_ones_own_is_named_by_its_place(paper, changed):
    own = changed(network={"factory": "my_cnn.py:build", "arguments": {"width": 8}})
    assert "vgg10_cifar10: another network (my_cnn.py:build)" in nature(own, paper).sentence
