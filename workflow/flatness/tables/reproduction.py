"""The page of a reproduction: everything that came out, on one page of Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import xarray as xr

from flatness.analysis.correlations import POOLED
from flatness.analysis.seeds import split_excluded
from flatness.storage import atomic_path
from flatness.tables import claim_table, correlation_markdown, facts
from flatness.tables.markdown import markdown_table

# What a deviation from the paper may be in; seeds and settings decide how much a verdict rests on.
_COMPARED = ("network", "dataset", "loss", "sweep", "seeds", "iterations", "checkpoints")
_MEGABYTE = 10**6


def write_reproduction(
    path: str | Path,
    template: str | Path,
    *,
    settings: Mapping[str, Any],
    paper: Mapping[str, Any],
    runs: Mapping[str, Sequence[xr.Dataset]],
    claims: pd.DataFrame,
    correlations: xr.Dataset,
    figures: Sequence[Mapping[str, str]],
    benchmarks: Mapping[str, Sequence[str]],
    results: str | Path,
) -> None:
    """Write the page, atomically.

    Args:
        path: of the page.
        template: of Jinja, with the page's sentences.
        settings: the whole configuration, as a mapping.
        paper: the configuration of the paper, to compare with.
        runs: all analysed runs, by study.
        claims: from `flatness.analysis.claims.judge`, or read back from its CSV file.
        correlations: of all studies, as `flatness.analysis.correlations.together` gives them.
        figures: name, title and caption of each.
        benchmarks: Snakemake's benchmark files by the rule's name.
        results: the folder whose size is told.
    """
    times = facts.times(benchmarks)
    every = [run for of_study in runs.values() for run in of_study]
    page = jinja2.Template(
        Path(template).read_text(encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    ).render(
        name=settings["name"],
        claims=claim_table.as_markdown(claims),
        figures=[
            figure | {"verdicts": _verdicts(claims, figure["name"], settings)} for figure in figures
        ],
        studies=[_study(correlations.sel(study=name)) for name in correlations["study"].to_numpy()],
        what_was_run=_turned(facts.STUDY_COLUMNS, facts.studies(settings, every)),
        what_came_out=_turned(
            facts.OUTCOME_COLUMNS,
            facts.outcomes(
                {name: split_excluded(of_study)[0] for name, of_study in runs.items()},
                settings["analysis"]["interpolation_accuracy"],
            ),
        ),
        interpolation_accuracy=f"{100 * settings['analysis']['interpolation_accuracy']:g}%",
        excluded=split_excluded(every)[1],
        conventions=markdown_table(("key", "value"), facts.conventions(settings)),
        made_with=markdown_table(("fact", "value"), facts.made_with(every)),
        times=markdown_table(facts.TIME_COLUMNS, times),
        slowest=_slowest(times),
        disk=markdown_table(("folder", "files", "MB"), _disk(Path(results), Path(path))),
        deviations=markdown_table(
            ("setting", "here", "config/config.yaml"), _deviations(settings, paper)
        ),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _verdicts(claims: pd.DataFrame, figure: str, settings: Mapping[str, Any]) -> str:
    """The claims about one figure, where they are tested on what it shows; empty without any."""
    options = settings["figures"][figure]
    shown = options["studies"] if "studies" in options else [options["study"]]
    tested = claims["network"].str.lower().map(settings["claims"])
    about = claims[(claims["figure"] == figure) & tested.isin(shown)]
    return claim_table.said_of(about) if len(about) else ""


def _study(correlations: xr.Dataset) -> dict[str, Any]:
    pooled = correlations.sel(group=POOLED)
    return {
        "name": str(correlations["study"].item()),
        "runs": int(pooled["runs"]),
        "pearson": correlation_markdown.matrix(pooled.sel({"statistic": "pearson"})),
    }


def _turned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a column for each row: settings are long."""
    first, *others = zip(columns, *rows, strict=True)
    return markdown_table(first, others)


def _slowest(times: Sequence[Sequence[str]]) -> dict[str, str] | None:
    """The rule with the longest job."""
    if not times:
        return None
    rule, _, _, longest, _ = max(times, key=lambda row: float(row[3]))
    return {"rule": rule, "longest": longest}


def _disk(results: Path, page: Path) -> list[tuple[str, str, str]]:
    """What each folder of the results takes, but for the one that is being written."""
    rows = []
    for folder in sorted(entry for entry in results.iterdir() if entry.is_dir()):
        if folder in page.parents:
            continue
        sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
        if sizes:
            rows.append((folder.name, str(len(sizes)), f"{sum(sizes) / _MEGABYTE:.1f}"))
    return rows


def _deviations(settings: Mapping[str, Any], paper: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What differs from the settings of the paper's study of the same network, and of analysis."""
    papers = {study["network"]["name"]: study for study in paper["studies"].values()}
    networks = {study["network"]["name"] for study in settings["studies"].values()}
    rows = [("network", "none", name) for name in papers if name not in networks]
    for name, study in settings["studies"].items():
        theirs = papers.get(study["network"]["name"])
        if theirs is None:
            rows.append((f"{name}: network", facts.as_text(study["network"]), "none"))
            continue
        one, other = _shown(settings, study), _shown(paper, theirs)
        rows += [
            (f"{name}: {key}", one[key], other[key]) for key in _COMPARED if one[key] != other[key]
        ]
    for key, value in settings["analysis"].items():
        if value != paper["analysis"][key]:
            rows.append((key, facts.as_text(value), facts.as_text(paper["analysis"][key])))
    return rows or [("none", "", "")]


def _shown(settings: Mapping[str, Any], study: Mapping[str, Any]) -> dict[str, str]:
    """What is compared of a study, its dataset in full."""
    dataset = settings["datasets"][study["dataset"]]
    return {key: facts.as_text(dataset if key == "dataset" else study[key]) for key in _COMPARED}
