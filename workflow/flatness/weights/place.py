"""What messages call a file of weights, and the choices that stand beside it."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Place:
    """Where somebody named a file of weights.

    Args:
        file: what stands in front of the file's name, such as "--weights".
        entry: what stands in front of the name of an entry, such as "--weights-entry ".
        prefix: what stands in front of what names begin with.
        quotes: around both.
        network: the network that takes the weights.
        remedy: what to do where file and network do not belong together.
    """

    file: str
    entry: str
    prefix: str
    quotes: str
    network: str
    remedy: str

    @classmethod
    def on_command_line(cls, factory: str) -> Self:
        """The options of `flatness measure`, for the network of a factory."""
        return cls(
            file="--weights",
            entry="--weights-entry ",
            prefix="--weights-prefix ",
            quotes="",
            network=f"the network of FACTORY {factory}",
            remedy="Choose a file, or --arguments, that belong together",
        )

    @classmethod
    def in_a_call(cls, argument: str) -> Self:
        """An argument of a function, such as `checkpoints[20]`, with options beside it."""
        return cls(
            file=f"{argument} =",
            entry="weights_entry=",
            prefix="weights_prefix=",
            quotes="'",
            network="the network",
            remedy="Choose a file of this network, or give a state dict in its place",
        )

    @property
    def choice(self) -> str:
        """The option that chooses an entry."""
        return self.entry.rstrip(" =")

    def with_entry(self, name: str) -> str:
        """How an entry is chosen."""
        return f"{self.entry}{self.quotes}{name}{self.quotes}"

    def with_prefix(self, name: str) -> str:
        """How names are chosen that begin alike."""
        return f"{self.prefix}{self.quotes}{name}{self.quotes}"
