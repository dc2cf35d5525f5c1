"""The configuration as one typed, frozen model.

Every key has a type, bounds and a sentence in this folder, and nowhere else: the checks,
the error messages and the reference table in `config/README.md` all come from here.
"""

from typing import Any, Literal

from pydantic import model_validator

from flatness.settings.conventions import Analysis, Claims, Folders, Measuring, Training
from flatness.settings.datasets import HERE_ONLY, AnyDataset
from flatness.settings.figures import AnyFigure, check_figures
from flatness.settings.section import Folder, Name, Section, key
from flatness.settings.studies import Study


class Settings(Section):
    """The whole configuration."""

    name: Name = key("Results go to RESULTS/NAME.")
    folders: Folders = key("Folders.", default=Folders())
    download: bool = key(
        "Whether datasets that are absent from the data folder may be downloaded into it.",
        default=True,
    )
    device: Literal["auto", "cpu", "cuda"] = key(
        "Where networks are trained and measured; `auto` takes a GPU where there is one, and is "
        "refused by a job that was given one which torch cannot use. Part of a run's identity, and "
        "so is the GPU's model.",
        default="auto",
    )
    runs_per_gpu: int = key(
        "Runs that share one GPU. With `--resources gpu=N` Snakemake works on at most N times as "
        "many at a time on this machine, otherwise on so many for each GPU that it sees. No part "
        "of a run's identity, and without effect on a CPU.",
        unit="runs",
        default=1,
        ge=1,
        le=1000,
    )
    quantities: Folder | None = key(
        "File with quantities of one's own (`@flatness.quantity`), relative to the folder "
        "Snakemake runs in, or dotted name of such a module. They stand beside the package's in "
        "analysed files, figures and tables.",
        default=None,
    )
    datasets: dict[Name, AnyDataset] = key("Datasets by name.", min_length=1)
    studies: dict[Name, Study] = key("Studies by name; run ids begin with it.", min_length=1)
    training: Training = key("Training.", default=Training())
    measuring: Measuring = key("Measuring.", default=Measuring())
    analysis: Analysis = key("Analysis.", default=Analysis())
    figures: dict[Name, AnyFigure] = key("Figures by name; each is a target.", default={})
    claims: Claims = key("Claims.", default=Claims())

    @model_validator(mode="after")
    def _names_resolve(self):
        for name, study in self.studies.items():
            if study.dataset not in self.datasets:
                raise ValueError(
                    f"studies.{name}.dataset = {study.dataset!r} is not a dataset. "
                    f"Allowed: {_listed(self.datasets)}. Name one of these, or add it to `datasets`"
                )
        check_figures(self.figures, self.studies)
        for network, study in self.claims:
            if study is not None and study not in self.studies:
                raise ValueError(
                    f"claims.{network} = {study!r} is not a study. Allowed: "
                    f"{_listed(self.studies)}. Name one of these, or leave {network} out"
                )
        return self

    def title_of(self, figure: str) -> str:
        """What a figure is called: its title, or else its name."""
        return self.figures[figure].title or figure

    def published(self, **options: Any) -> dict[str, Any]:
        """The configuration as a mapping that means the same on every machine.

        Args:
            options: of pydantic's `model_dump`.
        """
        return self.model_dump(exclude={"datasets": {"__all__": HERE_ONLY}}, **options)


def _listed(values) -> str:
    return ", ".join(str(value) for value in values)
