"""The page of a reproduction: everything that came out, on one page of Markdown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import xarray as xr

from flatness.analysis.correlations import POOLED
from flatness.analysis.groups import that_count
from flatness.figures.captions import caption
from flatness.publication import costs, facts
from flatness.publication.configuration import own_code
from flatness.publication.deviations import deviations, nature
from flatness.publication.results import counts, missing, numbers_of_parts, separate
from flatness.settings import Settings, runs_of_figure, table_of_runs
from flatness.storage import atomic_path
from flatness.tables import claim_matrix, claim_table, correlation_markdown, sensitivity_table
from flatness.tables.markdown import markdown_table


def write_page(
    path: str | Path,
    template: str | Path,
    *,
    results: xr.DataTree,
    settings: Settings,
    paper: Settings,
    claims: pd.DataFrame | None,
    sensitivity: pd.DataFrame | None,
    correlations: xr.Dataset,
    figures: Sequence[str],
    claims_page: str,
    place: str,
    report: str,
) -> None:
    """Write the page, atomically.

    Args:
        path: of the page.
        template: of Jinja, with the page's sentences.
        results: as `flatness.publication.results.condense` gives it.
        settings: the configuration.
        paper: the configuration of the paper, to compare with.
        claims: from `flatness.analysis.claims.judge`, or read back from its CSV file; None where
            no study plays a role in the claims.
        sensitivity: from `flatness.analysis.claims.sensitivity`, likewise.
        correlations: of all studies, as `flatness.analysis.correlations.together` gives them.
        figures: names of the figures beside it.
        claims_page: how the page reaches docs/claims.md.
        place: its folder, as seen from the repository's.
        report: the report's file beside it, or "" where there is none.
    """
    mapping, theirs = (each.model_dump(exclude_none=True) for each in (settings, paper))
    studies = separate(results)
    every = [run for of_study in studies.values() for run in of_study]
    times, titles = costs.in_words(results), {name: settings.title_of(name) for name in figures}
    page = jinja2.Template(
        Path(template).read_text(encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    ).render(
        name=settings.name,
        nature=None if claims is None else nature(mapping, theirs, counts(results)),
        report=report,
        claims_page=claims_page,
        place=place,
        own_code=", ".join(f"`{each}`" for each in own_code(settings)),
        matrix="" if claims is None else claim_matrix.as_markdown(claims, titles),
        claims="" if claims is None else claim_table.as_markdown(claims),
        sensitivity="" if claims is None else sensitivity_table.as_markdown(claims, sensitivity),
        figures=[
            {
                "name": name,
                "title": titles[name],
                "caption": caption(name, settings),
                "verdicts": "" if claims is None else _verdicts(claims, name, settings),
            }
            for name in figures
        ],
        studies=[_study(correlations.sel(study=name)) for name in correlations["study"].to_numpy()],
        what_was_run=_turned(facts.STUDY_COLUMNS, facts.studies(mapping, every)),
        what_came_out=_turned(
            facts.OUTCOME_COLUMNS,
            facts.outcomes(
                {name: that_count(of_study) for name, of_study in studies.items()},
                settings.analysis.interpolation_accuracy,
            ),
        ),
        interpolation_accuracy=f"{100 * settings.analysis.interpolation_accuracy:g}%",
        excluded=facts.excluded(every),
        missing=[run.id for run in missing(results, settings)],
        conventions=markdown_table(("key", "value"), facts.conventions(mapping)),
        parts=markdown_table(facts.PART_COLUMNS, facts.parts(every, numbers_of_parts(results))),
        made_with=markdown_table(("fact", "value"), facts.made_with(every)),
        times=markdown_table(costs.COLUMNS, times) if times else "",
        deviations=markdown_table(
            ("setting", "here", "config/config.yaml"), deviations(mapping, theirs)
        ),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _verdicts(claims: pd.DataFrame, figure: str, settings: Settings) -> str:
    """The claims about one figure, where they are tested on what it shows; empty without any."""
    runs = runs_of_figure(table_of_runs(settings), settings.figures[figure])
    shown = {run.study for run in runs}
    tested = claims["network"].map(settings.claims.roles())
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
