"""Writing the report: one page of HTML with everything in it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import jinja2
import pandas as pd
import xarray as xr

from flatness.analysis.claims.verdicts import VERDICTS
from flatness.analysis.statistics import FEWEST_FOR_INTERVAL
from flatness.figures.captions import caption
from flatness.glossary.own import own_terms
from flatness.publication import costs, facts
from flatness.publication.deviations import deviations, nature
from flatness.publication.opening import read_results, settings_of_publication
from flatness.publication.paper import papers_settings
from flatness.publication.report.cells import Table
from flatness.publication.report.claims import anchor, details, look, statistics
from flatness.publication.report.correlation_table import correlation_table
from flatness.publication.report.pictures import drawn_runs, picture
from flatness.publication.report.runs import by_setting, table_of_runs
from flatness.publication.results import counts, every_run
from flatness.settings import Settings, runs_of_figure
from flatness.settings import table_of_runs as runs_of_settings
from flatness.storage import atomic_path, read_dataset
from flatness.tables.claim_matrix import matrix, networks

TEMPLATES = Path(__file__).parents[3] / "report"
TEMPLATE = "report.html"


def write_report(
    results: str | Path,
    page: str | Path,
    *,
    claims: str | Path | None,
    sensitivity: str | Path | None,
    correlations: str | Path,
    figures: Iterable[str | Path],
) -> None:
    """Write the report, atomically, from files.

    Args:
        results: of the study, such as its part.nc.
        page: the file that is written.
        claims: the table claims.csv, or None where no study plays a role in the claims.
        sensitivity: the table sensitivity.csv, likewise.
        correlations: of all studies, a netCDF file.
        figures: SVG files, named as the figures of the configuration.
    """
    tree = read_results(results)
    text = report(
        tree,
        settings_of_publication(tree),
        claims=pd.read_csv(claims) if claims else None,
        sensitivity=pd.read_csv(sensitivity) if sensitivity else None,
        correlations=read_dataset(correlations),
        figures={Path(file).stem: Path(file).read_text(encoding="utf-8") for file in figures},
    )
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def report(
    results: xr.DataTree,
    settings: Settings,
    *,
    claims: pd.DataFrame | None,
    sensitivity: pd.DataFrame | None,
    correlations: xr.Dataset,
    figures: Mapping[str, str],
) -> str:
    """The report.

    Args:
        results: as `flatness.publication.results.condense` gives it.
        settings: the configuration.
        claims: from `flatness.analysis.claims.judge_with_sensitivity`, or read back from its CSV
            file; None where no study plays a role in the claims.
        sensitivity: likewise.
        correlations: of all studies, as `flatness.analysis.correlations.together` gives them.
        figures: by name, SVG as `flatness.figures.svg.as_svg` gives it.
    """
    runs = every_run(results)
    known = {run.id: run for run in runs}
    mapping, paper = (each.model_dump(exclude_none=True) for each in (settings, papers_settings()))
    shown = _studies_of_figures(settings, figures)
    given = {"claims": None}
    if claims is not None:
        parts = details(claims, sensitivity, known, settings.claims.roles(), shown)
        given = {
            "claims": matrix(claims),
            "networks": networks(claims),
            "parts": parts,
            "statistics": statistics(claims, parts),
            "nature": nature(mapping, paper, counts(results)),
            "deviations": _plain(
                "Deviations", ("setting", "here", "config/config.yaml"), deviations(mapping, paper)
            ),
        }
    accuracy = settings.analysis.interpolation_accuracy
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE).render(
        **given,
        name=settings.name,
        verdicts=VERDICTS,
        look=look,
        anchor=anchor,
        confidence=f"{100 * settings.analysis.confidence:g}%",
        interpolation_accuracy=f"{100 * accuracy:g}%",
        figures=[
            picture(
                svg,
                name,
                title=settings.title_of(name),
                subject=settings.figures[name].subject,
                caption=caption(name, settings),
            )
            for name, svg in figures.items()
        ],
        shown_runs={name: by_setting(drawn_runs(svg), known) for name, svg in figures.items()},
        titles={name: settings.title_of(name) for name in figures},
        correlations=[
            correlation_table(correlations.sel(study=study), str(study))
            for study in correlations["study"].to_numpy()
        ],
        runs=table_of_runs(
            runs, sample_set=settings.analysis.sample_set, interpolation_accuracy=accuracy
        ),
        interpolating=sum(run.interpolates(accuracy) for run in runs),
        least=FEWEST_FOR_INTERVAL,
        excluded=facts.excluded(runs),
        what_was_run=_plain("What was run", facts.STUDY_COLUMNS, facts.studies(mapping, runs)),
        conventions=_plain(
            "Conventions", ("key", "value"), [*facts.conventions(mapping), *_own_quantities()]
        ),
        made_with=_plain("Hardware and versions", ("fact", "value"), facts.made_with(runs)),
        times=_plain("Wall time", costs.COLUMNS, costs.in_words(results)),
    )


def _plain(name: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    return Table(name, tuple(head), [tuple(row) for row in rows])


def _own_quantities() -> list[tuple[str, str]]:
    """What quantities of a user's own are, beside the conventions."""
    return [(name, f"{term.long_name}: {term.formula}") for name, term in own_terms().items()]


def _studies_of_figures(settings: Settings, figures: Iterable[str]) -> dict[str, list[str]]:
    table = runs_of_settings(settings)
    shown = {name: runs_of_figure(table, settings.figures[name]) for name in figures}
    return {name: list(dict.fromkeys(run.study for run in of)) for name, of in shown.items()}
