"""What a cell of the matrix of claims leads to: all that is known of one part."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.claims.alternatives import ALTERNATIVES, sensitive_to
from flatness.analysis.claims.judging import SECOND
from flatness.analysis.claims.verdicts import VERDICTS
from flatness.publication.report.cells import Cell, Table, numeric
from flatness.publication.report.number_line import Bar, number_line
from flatness.publication.report.runs import Setting, by_setting
from flatness.tables.cells import NOTHING, interval, number
from flatness.tables.of_seeds import of_seeds
from flatness.tables.sensitivity_table import in_words

_KEYS = ("claim", "part", "network")


@dataclass(frozen=True)
class Condition:
    """One statistic of a part.

    Args:
        claimed: such as "> 0".
        value: with three digits.
        seeds: its interval over seeds, or a dash.
        settings: that over settings, likewise.
        picture: SVG of all that, or "".
    """

    claimed: str
    value: str
    seeds: str
    settings: str
    picture: Markup


@dataclass(frozen=True)
class Detail:
    """One part of a claim.

    Args:
        anchor: its id on the page.
        name: such as "7e".
        network: the role that its study plays.
        statement: the paper's sentence in our words.
        verdict: one of `VERDICTS`.
        pointing: what few seeds point to, in the words of `flatness.tables.of_seeds`, or "".
        statistic: what was computed, on which runs.
        conditions: one or two.
        sentences: what else is to be known.
        figures: names of the figures on the page that show it.
        sensitivity: by the words of each other choice, the verdict under it and whether it changes.
        used: the runs that it rests on.
        left_out: by the reason, those that do not count.
        others: how many runs of the study it does not speak of.
    """

    anchor: str
    name: str
    network: str
    statement: str
    verdict: str
    pointing: str
    statistic: str
    conditions: Sequence[Condition]
    sentences: Sequence[str]
    figures: Sequence[str]
    sensitivity: Sequence[tuple[str, str, bool]]
    used: Sequence[Setting]
    left_out: Mapping[str, Sequence[Setting]]
    others: int


def anchor(name: str, network: str) -> str:
    """What one part is linked by."""
    return f"claim-{name}-{network.lower()}"


def details(
    claims: pd.DataFrame,
    sensitivity: pd.DataFrame,
    runs: Mapping[str, AnalysedRun],
    roles: Mapping[str, str],
    figures: Mapping[str, Sequence[str]],
) -> dict[int, list[Detail]]:
    """By claim, its parts.

    Args:
        claims: from `flatness.analysis.claims.judge_with_sensitivity`.
        sensitivity: from there.
        runs: by id, all that there are.
        roles: by role, the study that plays it.
        figures: by the name of each figure on the page, the studies that it shows.
    """
    found: dict[int, list[Detail]] = {}
    texts = {"reason": "", "remarks": "", f"{SECOND}comparison": ""}
    # An empty cell of a CSV file is read as NaN.
    for row in claims.astype(dict.fromkeys(texts, object)).fillna(texts).to_dict("records"):
        same = (sensitivity[list(_KEYS)] == [row[key] for key in _KEYS]).all(axis="columns")
        study = roles[row["network"]]
        used, left_out = json.loads(row["used"]), json.loads(row["left_out"])
        known = {*used, *(name for names in left_out.values() for name in names)}
        name = f"{row['claim']}{row['part']}"
        shown = study in figures.get(row["figure"], ())
        found.setdefault(int(row["claim"]), []).append(
            Detail(
                anchor=anchor(name, row["network"]),
                name=name,
                network=row["network"],
                statement=row["statement"],
                verdict=row["verdict"],
                pointing=next(iter(of_seeds(pd.DataFrame([row]))), ""),
                statistic=row["statistic"],
                conditions=_conditions(row),
                sentences=[text for text in (row["reason"], row["remarks"]) if text],
                figures=[row["figure"]] if shown else [],
                sensitivity=_sensitivity(sensitivity[same]),
                used=by_setting(used, runs),
                left_out={why: by_setting(names, runs) for why, names in left_out.items()},
                others=sum(run.study == study and run.id not in known for run in runs.values()),
            )
        )
    return found


def _conditions(row: Mapping) -> list[Condition]:
    if not row[f"{SECOND}comparison"]:
        return [_condition(row, "")]
    return [_condition(row, "", "first, "), _condition(row, SECOND, "second, ")]


def _condition(row: Mapping, prefix: str, which: str = "") -> Condition:
    value, low, high, settings_low, settings_high, threshold = (
        float(row[f"{prefix}{name}"])
        for name in ("value", "low", "high", "settings_low", "settings_high", "threshold")
    )
    bars = [
        Bar(f"{which}over seeds", low, high),
        Bar(f"{which}over settings", settings_low, settings_high),
    ]
    return Condition(
        row[f"{prefix}comparison"],
        number(value),
        interval(low, high),
        interval(settings_low, settings_high),
        Markup(number_line(value, threshold, bars)),  # escapes what it holds
    )


def _sensitivity(rows: pd.DataFrame) -> list[tuple[str, str, bool]]:
    told = rows.fillna({"note": "", "verdict": ""}).set_index("alternative").to_dict("index")
    return [
        (each.words, said, bool(told[each.name]["changes"]))
        for each in ALTERNATIVES
        if (said := in_words(told[each.name])) != NOTHING
    ]


def statistics(claims: pd.DataFrame, parts: Mapping[int, Sequence[Detail]]) -> Table:
    """The numbers of all parts, a row each.

    Args:
        claims: as for `details`.
        parts: from there.
    """
    head = (
        "claim",
        "network",
        "verdict",
        "statement",
        "value",
        "claimed",
        "interval over seeds",
        "interval over settings",
        "runs",
        "seeds",
        "sensitive to",
        "figure",
    )
    every = [detail for of_claim in parts.values() for detail in of_claim]
    rows = []
    for position, (row, detail) in enumerate(zip(claims.to_dict("records"), every, strict=True)):
        conditions = detail.conditions
        rows.append(
            (
                Cell(detail.name, order=position, link=f"#{detail.anchor}"),
                detail.network,
                Cell(
                    detail.verdict,
                    order=VERDICTS.index(detail.verdict),
                    look=f"verdict {look(detail.verdict)}",
                ),
                detail.statement,
                Cell(
                    "; ".join(each.value for each in conditions),
                    order=numeric(row["value"]).order,
                    look="number",
                ),
                "; ".join(each.claimed for each in conditions),
                _both([each.seeds for each in conditions]),
                _both([each.settings for each in conditions]),
                Cell(str(row["n"]), order=row["n"], look="number"),
                Cell(str(row["seeds"]), order=row["seeds"], look="number"),
                ", ".join(sensitive_to(row["sensitive_to"])) or NOTHING,
                Cell(row["figure"], link=f"#{row['figure']}" if detail.figures else ""),
            )
        )
    return Table("Statistics of the claims", head, rows)


def _both(texts: Sequence[str]) -> str:
    return NOTHING if set(texts) == {NOTHING} else "; ".join(texts)


def look(verdict: str) -> str:
    """The class of a verdict in the page's styles."""
    return verdict.replace(" ", "-")
