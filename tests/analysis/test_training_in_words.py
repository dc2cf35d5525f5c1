"""What networks were trained with, in words: a learning rate never without its loss."""

import pytest

from flatness.analysis.training_in_words import (
    name_in_words,
    network_in_words,
    optimiser_in_words,
    sgd_in_words,
    value_in_words,
)


def plan(rate, size, loss="half_squared_error"):
    return {"learning_rate": rate, "batch_size": size, "loss": loss}


def test_rates_stand_beside_their_loss_and_those_of_mse():
    plans = [plan(0.2, 8), plan(0.05, 20), plan(0.2, 20)]
    assert sgd_in_words(plans, 10) == (
        "plain SGD on half_squared_error at learning rates 0.05, 0.2 (0.25, 1 in mse) and batch "
        "sizes 8, 20"
    )
    assert sgd_in_words(plans[:1], 4) == (
        "plain SGD on half_squared_error at learning rate 0.2 (0.4 in mse) and batch size 8"
    )


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_nothing_is_converted_where_there_is_nothing_to_convert(loss):
    assert sgd_in_words([plan(0.1, 20, loss)], 10) == (
        f"plain SGD on {loss} at learning rate 0.1 and batch size 20"
    )
    assert name_in_words("learning_rate", loss, 10) == f"learning rate of {loss}"
    assert value_in_words("learning_rate", 0.1, loss, 10) == "0.1"


def test_a_legend_names_the_loss_once():
    named = name_in_words("learning_rate", "half_squared_error", 10)
    assert named == "learning rate of half_squared_error (in mse)"
    assert value_in_words("learning_rate", 0.05, "half_squared_error", 10) == "0.05 (0.25)"
    assert name_in_words("batch_size", "half_squared_error", 10) == "batch size"
    assert value_in_words("batch_size", 8, "half_squared_error", 10) == "8"


def test_a_network_is_named_with_its_activation():
    assert network_in_words({"network": {"name": "vgg10", "activation": "relu"}}) == "VGG10 (relu)"
    assert network_in_words({"network": {"name": "mine", "depth": 2}}) == "MINE"


def test_a_network_of_ones_own_is_named_by_its_place():
    own = {"name": "factory", "factory": "my_cnn.py:build", "arguments": {"width": 8}}
    assert network_in_words({"network": own}) == "my_cnn.py:build"


@pytest.mark.parametrize(
    ("optimiser", "words"),
    [
        ({"name": "sgd", "momentum": 0.9, "nesterov": True}, "SGD (momentum 0.9, nesterov true)"),
        ({"name": "adam", "beta1": 0.9, "weight_decay": 0}, "Adam (beta1 0.9)"),
    ],
)
def test_an_optimiser_is_named_with_its_options(optimiser, words):
    assert optimiser_in_words(optimiser) == words
