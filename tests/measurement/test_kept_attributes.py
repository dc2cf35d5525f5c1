"""Every attribute of every module is afterwards what it was, whatever forward keeps."""

import collections
import copy
import io
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import flatness
from flatness.errors import MeasurementError

_CONTAINERS = (list, tuple, set, collections.deque)


def _facts(value):
    """The object itself, and what it holds; a tensor with its values and its place in a graph."""
    if isinstance(value, Tensor):
        state = (value.requires_grad, value.grad_fn, value.grad, value.detach().clone())
        return [("tensor", value, state)]
    if isinstance(value, dict):
        inner = [item for key in value for item in ((("key", key, None),), _facts(value[key]))]
    elif isinstance(value, _CONTAINERS):
        inner = [_facts(item) for item in value]
    else:
        return [("object", value, None)]
    return [("container", value, len(value)), *(fact for facts in inner for fact in facts)]


def _attributes(model: nn.Module):
    return [
        (name, attribute, _facts(value))
        for name, module in model.named_modules()
        for attribute, value in vars(module).items()
        if attribute != "_modules"
    ]


def _assert_same(after, before):
    assert [one[:2] for one in after] == [one[:2] for one in before]
    for (module, attribute, now), (_, _, then) in zip(after, before, strict=True):
        place = f"{module}.{attribute}"
        assert len(now) == len(then), place
        for (kind, value, state), (_, earlier, known) in zip(now, then, strict=True):
            if kind in ("tensor", "container"):
                assert value is earlier, place
            if kind == "tensor":
                assert state[0] == known[0], place
                assert state[1] is known[1], place
                assert state[2] is known[2], place
                assert torch.equal(state[3], known[3]), place
            else:
                assert value is earlier or value == earlier, place
                assert state == known, place


class Keeps(nn.Module):
    """A network that does something with its features on the side."""

    def __init__(self, keep, **attributes):
        super().__init__()
        self.keep = keep
        self.a, self.h = nn.Linear(6, 5), nn.Linear(5, 2)
        self.register_buffer("mean", torch.zeros(5))
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        z = torch.tanh(self.a(x))
        self.keep(self, z)
        return self.h(z)


def _kept(attribute):
    return lambda model, z: setattr(model, attribute, z)


def _nested(model, z):
    model.store["all"].append({"z": z, "shape": z.shape})


def _counted(model, z):
    model.calls += 1
    model.shapes.add(tuple(z.shape))


def _only_once(model, z):
    if model.mask is None:
        model.mask = torch.ones_like(z)
    if not hasattr(model, "first"):
        model.first = z


def _removed(model, z):
    if hasattr(model, "spare"):
        del model.spare


def _exchanged_buffer(model, z):
    model.mean = 0.9 * model.mean + 0.1 * z.detach().mean(0)


def _added_in_place(model, z):
    model.plain += z.detach().mean(0)
    model.inner.clear()


def _added_in_inference(model, z):
    with torch.inference_mode():
        model.plain += z.mean(0)


def _parameter_in_place(model, z):
    with torch.no_grad():
        model.limit.clamp_(max=0.5)


def _into_a_submodule(model, z):
    model.a.seen = z
    model.h.history.append(z)


def _submodule_with_history():
    model = Keeps(_into_a_submodule)
    model.h.history = []
    return model


def _hooked():
    def keep(module, arguments, output):
        module.output = output

    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    model[1].register_forward_hook(keep)
    return model


def _of_inference():
    with torch.inference_mode():
        return torch.zeros(5)


def _layers(first) -> nn.Module:
    return nn.Sequential(first, nn.Tanh(), nn.Linear(5, 2))


def _pruned():
    layer = nn.Linear(6, 5)
    prune.l1_unstructured(layer, "weight", 0.5)
    prune.random_unstructured(layer, "bias", 0.5)
    return _layers(layer)


def _old_weight_norm():
    with warnings.catch_warnings(action="ignore"):  # people still have it
        return _layers(nn.utils.weight_norm(nn.Linear(6, 5)))


def _old_spectral_norm():
    return _layers(nn.utils.spectral_norm(nn.Linear(6, 5)))


KEEPING = {
    "features": lambda: Keeps(_kept("features"), features=None),
    "an attribute that was not there": lambda: Keeps(_kept("features")),
    "a list": lambda: Keeps(lambda model, z: model.store.append(z), store=[]),
    "a list exchanged": lambda: Keeps(lambda m, z: setattr(m, "store", [*m.store, z]), store=[]),
    "a dict": lambda: Keeps(lambda model, z: model.store.update(z=z), store={"z": None, "y": 1}),
    "a list in a dict": lambda: Keeps(_nested, store={"all": []}),
    "a queue": lambda: Keeps(
        lambda model, z: model.store.append(z), store=collections.deque(maxlen=2)
    ),
    "numbers": lambda: Keeps(_counted, calls=0, shapes=set()),
    "what is made once": lambda: Keeps(_only_once, mask=None),
    "what is removed": lambda: Keeps(_removed, spare=[1, 2]),
    "a buffer that is exchanged": lambda: Keeps(_exchanged_buffer),
    "values that change in place": lambda: Keeps(
        _added_in_place, plain=torch.zeros(5), inner=[torch.ones(2)]
    ),
    "a tensor of inference mode": lambda: Keeps(_added_in_inference, plain=_of_inference()),
    "a parameter that changes in place": lambda: Keeps(
        _parameter_in_place, limit=nn.Parameter(torch.ones(5))
    ),
    "attributes of submodules": _submodule_with_history,
    "a hook that keeps": _hooked,
    "pruned weights": _pruned,
    "weight norm of old": _old_weight_norm,
    "spectral norm of old": _old_spectral_norm,
    "spectral norm": lambda: _layers(parametrizations.spectral_norm(nn.Linear(6, 5))),
    "weight norm": lambda: _layers(parametrizations.weight_norm(nn.Linear(6, 5))),
}


@pytest.fixture(params=[False, True], ids=["never called", "called before"])
def called(request):
    return request.param


@pytest.fixture(params=KEEPING)
def kept(request, called):
    """A network, and inputs for it."""
    torch.manual_seed(0)
    model, inputs = KEEPING[request.param]().eval(), torch.randn(4, 6)
    if called:  # then what it keeps is there
        with torch.no_grad():
            model(inputs)
    return model, inputs


def _measure(model, inputs):
    flatness.measure(model, inputs)


def _curvature(model, inputs):
    flatness.curvature(model, inputs, torch.zeros(4, 2))


def _middle_layer(model, inputs):
    flatness.measure(model, inputs, layer=next(name for name, _ in model.named_children()))


@pytest.mark.parametrize("what", [_measure, _curvature, _middle_layer])
def test_the_same_objects_with_the_same_content(kept, what):
    model, inputs = kept
    before = _attributes(model)
    what(model, inputs)
    _assert_same(_attributes(model), before)


@pytest.mark.parametrize("called", [True], ids=["called before"], indirect=True)
def test_a_network_can_be_copied_and_saved_afterwards(kept):
    model, inputs = kept
    flatness.measure(model, inputs)
    torch.save(model.state_dict(), io.BytesIO())
    copy.deepcopy(model)


def test_a_refusal_leaves_everything_too():
    def fail(model, z):
        model.store.append(z)
        raise RuntimeError("on purpose")

    model, inputs = Keeps(fail, store=[]).eval(), torch.randn(4, 6)
    before = _attributes(model)
    with pytest.raises(MeasurementError, match="on purpose"):
        flatness.measure(model, inputs)
    _assert_same(_attributes(model), before)
