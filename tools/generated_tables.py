"""Tables in the documentation that come from the code.

    python -m tools.generated_tables

rewrites them between their markers, and `envs/environment.yaml` from the locked versions; a test
fails while any of these is not in step.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pandas as pd
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from flatness.glossary import Term
from flatness.glossary.estimates import QUANTITIES_OF_ESTIMATES
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import ANALYSIS, QUANTITIES
from flatness.settings.keys import tree
from flatness.tables.claim_table import definitions, in_short, summary
from tools.markers import between

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "docs/reproduction"
_TERMS = PRIMITIVES | QUANTITIES | QUANTITIES_OF_ESTIMATES | ANALYSIS


def stale() -> dict[Path, str]:
    """The files that are not in step, with what they should hold."""
    readme = (ROOT / "README.md").read_text()
    readme = between(readme, "answer", answer())
    readme = between(readme, "reproduction", reproduction())
    wanted = {
        ROOT / "README.md": readme,
        ROOT / "docs/glossary.md": between(
            (ROOT / "docs/glossary.md").read_text(), "glossary", glossary_table(_TERMS)
        ),
        ROOT / "docs/claims.md": between(
            (ROOT / "docs/claims.md").read_text(), "claims", definitions()
        ),
        ROOT / "config/README.md": between(
            (ROOT / "config/README.md").read_text(), "keys", settings_table()
        ),
        ROOT / "envs/environment.yaml": conda_environment(),
    }
    return {
        path: text for path, text in wanted.items() if not path.exists() or path.read_text() != text
    }


def settings_table() -> str:
    """The reference of all configuration keys, as a Markdown table."""
    rows = ["| key, type, default | meaning |", "| --- | --- |"]
    for path, info in tree().rows():
        unit = (info.json_schema_extra or {}).get("unit", "")
        kind = _type(info) + (f" ({unit})" if unit else "")
        rows.append(_row(f"`{path}`<br>{kind}<br>{_default(info)}", info.description))
    return "\n".join(rows)


def glossary_table(terms: dict[str, Term]) -> str:
    """All variables of the netCDF files and all quantities, as a Markdown table."""
    rows = ["| name, and what it is | formula, and its place in the paper |", "| --- | --- |"]
    for name, term in terms.items():
        unit = "" if term.units == "1" else f" ({term.units})"
        place = f"<br>{term.equation}" if term.equation else ""
        rows.append(_row(f"`{name}`<br>{term.long_name}{unit}", f"`{term.formula}`{place}"))
    return "\n".join(rows)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def conda_environment() -> str:
    """The direct requirements for conda users, at the locked versions."""
    locked = dict(
        re.findall(
            r"^([a-z0-9-]+)==([^ ]+)", (ROOT / "envs/requirements.txt").read_text(), re.MULTILINE
        )
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    ranges = project["dependencies"] + extras["workflow"] + extras["docs"] + extras["dev"]
    names = sorted(re.match(r"[A-Za-z0-9-]+", entry)[0].lower() for entry in ranges)
    return "\n".join(
        [
            "# For conda users: the versions of envs/requirements.txt. Written by",
            "# `make docs`; do not edit by hand. README.md says how to use it.",
            "name: flatness",
            "channels:",
            "  - conda-forge",
            "  - nodefaults",
            "dependencies:",
            "  - python>=3.11",
            "  - pip",
            "  - pip:",
            *(f"      - {name}=={locked[name]}" for name in names),
            "",
        ]
    )


def answer() -> str:
    """Figure 1 as it was published, what was run, and how many verdicts there are of each kind."""
    page = (PUBLISHED / "README.md").read_text()
    (title,) = re.findall(r"^!\[(.*)\]\(figures/fig1\.png\)$", page, re.MULTILINE)
    (nature,) = re.findall(r"^\*\*(.*)\.\*\*$", page, re.MULTILINE)
    place = PUBLISHED.relative_to(ROOT)
    claims = _published_claims()
    return (
        f"[![{title}]({place}/figures/fig1.png)]({place}/README.md#figures)\n\n"
        f"*{title} of the paper, computed anew.* {nature}. Of {len(claims)} parts of the "
        f"paper's claims: {summary(claims)}"
    )


def reproduction() -> str:
    """The verdicts on each claim, in short."""
    return in_short(_published_claims())


def _published_claims() -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / "tables/claims.csv")


def _type(info: FieldInfo) -> str:
    bounds = [
        f"{symbol} {getattr(bound, name):.10g}"
        for bound in info.metadata
        for name, symbol in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if getattr(bound, name, None) is not None
    ]
    return ", ".join([_type_name(info.annotation), *bounds])


def _type_name(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return "mapping"
    if arguments and all(isinstance(value, str) for value in arguments):
        return " or ".join(f"`{value}`" for value in arguments)
    if arguments:
        return " or ".join(dict.fromkeys(_type_name(a) for a in arguments if a is not type(None)))
    return {int: "integer", float: "number", str: "text", bool: "true or false"}.get(
        kind, "mapping"
    )


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "required"
    if info.default is None:
        return "default: left out"
    if isinstance(info.default, BaseModel):
        return "default: as below"
    return f"default: `{_as_yaml(info.default)}`"


def _as_yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_yaml, value))}]"
    return str(value)


if __name__ == "__main__":
    for file, content in stale().items():
        file.write_text(content)
        print(f"rewrote {file.relative_to(ROOT)}")
