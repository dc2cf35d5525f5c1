"""Configurations for properties: shipped ones changed anywhere, and sound ones of any kind."""

import copy
import datetime

from hypothesis import strategies as st

_NAMES = st.text(max_size=8) | st.sampled_from(["mlp", "../up", "a/b", ".", "", "é", "a b", "{x}"])
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([-1, 0, 1, 2, 10**30, 1e-300, 1e300])
    | _NAMES
    | st.sampled_from([datetime.date(2020, 1, 1), b"bytes", "1e-3", "none", "all", "auto"])
    | st.sampled_from(["\ud800", "\0", "a" * 300])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=5,
)


def places(node, path=()):
    """The path of every value in a configuration, down to its leaves."""
    yield path
    if isinstance(node, dict):
        for name, child in node.items():
            yield from places(child, (*path, name))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from places(child, (*path, index))


@st.composite
def changed(draw, shipped):
    """A configuration with one to three values set, deleted or added somewhere."""
    configuration = copy.deepcopy(shipped)
    for _ in range(draw(st.integers(1, 3))):
        _change(draw, configuration)
    return configuration


def _change(draw, configuration):
    path = draw(st.sampled_from([path for path in places(configuration) if path]))
    *above, last = path
    node = configuration
    for step in above:
        node = node[step]
    how = draw(st.sampled_from(["set", "delete", "add", "like another"]))
    if how == "set":
        node[last] = draw(_VALUES)
    elif how == "delete":
        del node[last]
    elif how == "add" and isinstance(node, dict):
        node[draw(_NAMES)] = draw(_VALUES)
    else:
        other = draw(st.sampled_from([path for path in places(configuration) if path]))
        value = configuration
        for step in other:
            value = value[step]
        node[last] = copy.deepcopy(value)


_NAME = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,12}\Z")
_FOLDER = st.sampled_from(["results", "./results", "a/../b", "a//b", "a b", "é", "[a]", "a*", "a~"])
_FOLDER |= st.text(st.characters(exclude_categories=["C"], exclude_characters="/{}"), min_size=1)
_RATES = st.sampled_from([0.1, 1, 5e-324, 1e16, 1e300, 0.30000000000000004])
_RATES |= st.floats(min_value=0, exclude_min=True, allow_infinity=False)
_LAYERS = st.sampled_from(["1", "7", "conv1", "features.0"])
_SETTING = st.fixed_dictionaries({"learning_rate": _RATES, "batch_size": st.integers(1, 1437)})


@st.composite
def sound(draw):
    """A configuration on the digits that is mostly accepted, with values of every size."""
    studies = draw(st.lists(_NAME, min_size=1, max_size=3, unique=True))
    configuration = {
        "name": draw(_NAME),
        "folders": {"results": draw(_FOLDER), "data": draw(_FOLDER)},
        "device": "cpu",
        "runs_per_gpu": draw(st.integers(1, 1000)),
        "datasets": {
            "digits": {"source": "digits", "outputs": 10, "samples": 20},
            "unused": {
                "source": "torchvision",
                "dataset": draw(st.sampled_from(["CIFAR10", "FashionMNIST"])),
                "image_folder": draw(st.none() | _FOLDER),
                "outputs": 10,
            },
        },
        "studies": {name: draw(_study()) for name in studies},
        "training": {
            "threads": draw(st.sampled_from([1, 2, 10**6])),
            "keep_checkpoints": draw(st.sampled_from(["all", "last", "none"])),
        },
        "analysis": {"bound_powers": draw(st.lists(st.floats(1, 1e300), min_size=1, max_size=2))},
        "figures": {},
        "claims": draw(st.sampled_from([{}, {"mlp": studies[0]}, {"vgg10": studies[-1]}])),
    }
    setting = configuration["studies"][studies[0]]["sweep"][0]
    shown = {"study": studies[0], **setting}
    figures = {
        "fig1": {
            "kind": "trends",
            "study": studies[0],
            "compare": "learning_rate",
            "fixed": float(setting["batch_size"]),
        },
        "figD4": shown | {"kind": "chain"},
        "figD5": {"kind": "pair_grid", "study": studies[0]},
        "of-all_2": {"kind": "lemma", "studies": studies},
    }
    for name in draw(st.sets(st.sampled_from(sorted(figures)))):
        configuration["figures"][name] = figures[name]
    return configuration


@st.composite
def _study(draw):
    network = draw(st.sampled_from(["mlp", "vgg10"]))
    sweep = draw(
        st.lists(_SETTING, min_size=1, max_size=2, unique_by=lambda s: str(sorted(s.items())))
    )
    return {
        "network": {"name": network},
        "dataset": "digits",
        "loss": draw(st.sampled_from(["mse", "half_squared_error", "cross_entropy"])),
        "sweep": sweep,
        "seeds": draw(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=2, unique=True)),
        "middle_layers": draw(st.lists(_LAYERS, max_size=2, unique=True)),
        "iterations": draw(st.sampled_from([1, 2, 10**4, 10**12])),
        "checkpoints": {"early": draw(st.sampled_from([1, 5, 10**6])), "late": 1},
    }
