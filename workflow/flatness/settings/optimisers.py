"""Optimisers in the place of plain SGD."""

from typing import Literal

from pydantic import model_validator

from flatness.settings.section import Section, key, one_of

_DECAY = "Weight decay: this times the weight is added to its gradient."


class SgdOptimiser(Section):
    """SGD with momentum or weight decay; with neither it is plain SGD."""

    name: Literal["sgd"] = key("Which optimiser.")
    momentum: float = key("Share of the last step's direction that is kept.", default=0, ge=0, lt=1)
    nesterov: bool = key("Whether the momentum is Nesterov's.", default=False)
    weight_decay: float = key(_DECAY, default=0, ge=0)

    @model_validator(mode="after")
    def _momentum_to_look_ahead(self):
        if self.nesterov and not self.momentum:
            raise ValueError(
                "has nesterov without momentum. Allowed: with momentum above 0. Set momentum, or "
                "leave nesterov out"
            )
        return self


class AdamOptimiser(Section):
    """Adam, or AdamW."""

    name: Literal["adam"] = key("Which optimiser.")
    beta1: float = key("Decay rate of the mean of the gradients.", default=0.9, ge=0, lt=1)
    beta2: float = key("Decay rate of the mean of their squares.", default=0.999, ge=0, lt=1)
    epsilon: float = key("Added to the root of that mean.", default=1e-8, gt=0)
    weight_decay: float = key(_DECAY, default=0, ge=0)
    decoupled: bool = key(
        "Whether weights decay by themselves, by learning_rate times weight_decay in each step, as "
        "in AdamW.",
        default=False,
    )


AnyOptimiser = one_of("name", SgdOptimiser, AdamOptimiser)
