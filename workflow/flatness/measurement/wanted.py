"""What is to be computed, so that nothing else is."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from flatness.errors import MeasurementError


@dataclass(frozen=True)
class Wanted:
    """Which parts of the work are done.

    Args:
        jacobian: singular values of the input Jacobian, and its product with the inputs.
        parameters: squared parameter-gradient norms.
        adaptive: those of gradients times parameters.
        layers: norms at each layer's input and output.
        spectra: singular values of the Jacobians with respect to layers' inputs.
        operator_norms: of the layers.
        largest: the largest singular value of the input Jacobian alone, by iterations.
    """

    jacobian: bool = True
    parameters: bool = True
    adaptive: bool = True
    layers: bool = True
    spectra: bool = True
    operator_norms: bool = True
    largest: bool = False

    @classmethod
    def of(cls, only: Collection[str] | None) -> Self:
        """What some quantities are made of.

        Args:
            only: their names; None for all.

        Raises:
            MeasurementError: there is no quantity of a name, or it is not measured here.
        """
        if only is None:
            return cls()
        return cls._made_of(only, _PARTS)

    @classmethod
    def estimated(cls, only: Collection[str] | None) -> Self:
        """The same of estimates from random probes, where `jacobian` is its norms alone.

        Args:
            only: names of quantities; None for all that have an estimate.

        Raises:
            MeasurementError: there is no quantity of a name, or it has no estimate.
        """
        if only is None:
            return cls(spectra=False, largest=True)
        for name in () if isinstance(only, str) else only:
            if name in _PARTS and name not in _ESTIMATED_PARTS:
                raise MeasurementError(
                    f"only: {name!r} has no estimate: it needs all singular values. Allowed with "
                    f"probes: {', '.join(_ESTIMATED_PARTS)}. Choose among these, or leave out "
                    "`probes` for the exact way."
                )
        return cls._made_of(only, _ESTIMATED_PARTS)

    @classmethod
    def _made_of(cls, only: Collection[str], known: Mapping[str, frozenset[str]]) -> Self:
        if isinstance(only, str):
            raise MeasurementError(
                f"only = {only!r}. Allowed: a tuple or list of names. Write only=({only!r},)."
            )
        if not only:
            raise MeasurementError(
                "only = (), which is nothing. Allowed: names of quantities. Name one, or leave "
                "it out for all."
            )
        parts: set[str] = set()
        for name in only:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, n=1)
                hint = f"Did you mean {near[0]!r}? " if near else ""
                raise MeasurementError(
                    f"only: {name!r} is no quantity that is measured here. Allowed: "
                    f"{', '.join(known)}. {hint}Choose among these; what concerns the Hessian is "
                    "measured by flatness.curvature."
                )
            parts |= known[name]
        return cls(**{part: part in parts for part in cls.__dataclass_fields__})


_JACOBIAN = frozenset({"jacobian"})
_PARAMETERS = frozenset({"parameters"})
_NORMS = frozenset({"layers", "operator_norms"})
_SPECTRA = frozenset({"layers", "spectra"})
_PARTS = {
    "sharpness": _PARAMETERS,
    "sqrt_sharpness": _PARAMETERS,
    "sharpness_before_last_layer": _PARAMETERS | {"layers"},
    "sqrt_sharpness_before_last_layer": _PARAMETERS | {"layers"},
    "adaptive_sharpness": _PARAMETERS | {"adaptive"},
    "sqrt_adaptive_sharpness": _PARAMETERS | {"adaptive"},
    "log_volume": _JACOBIAN,
    "log_volume_top3": _JACOBIAN,
    "log_mean_volume": _JACOBIAN,
    "mean_input_gradient_sq_norm": _JACOBIAN,
    "mls": _JACOBIAN,
    "local_dimension": _JACOBIAN,
    "zero_singular_values": _JACOBIAN,
    "unresolved_singular_values": _JACOBIAN,
    "mls_bound_b": _PARAMETERS | _NORMS,
    "mls_bound_c": _PARAMETERS | _NORMS,
    "mls_bound_d": _PARAMETERS | _NORMS,
    "mls_bound_unshared": _NORMS,
    "layer_mls": _SPECTRA,
    "nmls": _SPECTRA,
    "layer_mean_log_volume": _SPECTRA,
    "nvr": _SPECTRA,
    "relative_flatness": frozenset({"layers"}),
}
# The same of estimates. What is left out needs all singular values.
_ESTIMATED_PARTS = {
    name: parts
    for name, parts in _PARTS.items()
    if not parts & {"jacobian", "spectra"} or name == "mean_input_gradient_sq_norm"
} | {
    "mls": frozenset({"largest"}),
    "mls_residual": frozenset({"largest"}),
    "sharpness_standard_error": _PARAMETERS,
    "adaptive_sharpness_standard_error": _PARAMETERS | {"adaptive"},
    "mean_input_gradient_sq_norm_standard_error": _JACOBIAN,
}
