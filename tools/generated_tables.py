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
from flatness.tables.claim_table import definitions, in_short
from tools.markers import between

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "docs/reproduction"
# What README shows as long as the paper's own settings have not been run.
VARIANT = ROOT / "docs/variants/five_fold_rates_tanh"
# The figures that README opens with: one of training, one of the inequalities.
_SHOWN = ("fig1", "figD4")


def stale() -> dict[Path, str]:
    """The files that are not in step, with what they should hold."""
    readme = (ROOT / "README.md").read_text()
    terms = PRIMITIVES | QUANTITIES | QUANTITIES_OF_ESTIMATES | ANALYSIS
    readme = between(readme, "glossary", glossary_table(terms))
    readme = between(readme, "reproduction", reproduction())
    wanted = {
        ROOT / "README.md": readme,
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
    rows = ["| key | type | default | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for path, info in tree().rows():
        unit = (info.json_schema_extra or {}).get("unit", "")
        cells = (f"`{path}`", _type(info), _default(info), unit, info.description)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def glossary_table(terms: dict[str, Term]) -> str:
    """All variables of the netCDF files and all quantities, as a Markdown table."""
    rows = ["| name | in words | formula | paper | unit |", "| --- | --- | --- | --- | --- |"]
    for name, term in terms.items():
        cells = (f"`{name}`", term.long_name, f"`{term.formula}`", term.equation, term.units)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def conda_environment() -> str:
    """The direct requirements for conda users, at the locked versions."""
    locked = dict(
        re.findall(
            r"^([a-z0-9-]+)==([^ ]+)", (ROOT / "envs/requirements.txt").read_text(), re.MULTILINE
        )
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    ranges = project["dependencies"] + extras["workflow"] + extras["dev"]
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


def reproduction() -> str:
    """What is published in short: what it is, two figures, and the verdicts on each claim."""
    is_there = (PUBLISHED / "README.md").exists()
    folder = PUBLISHED if is_there else VARIANT
    place, text = folder.relative_to(ROOT), (folder / "README.md").read_text()
    (nature,) = re.findall(r"^\*\*(.*)\.\*\*$", text, re.MULTILINE)
    captions = dict(re.findall(r"^!\[(.*)\]\(figures/(.*)\.png\)$", text, re.MULTILINE))
    pictures = [
        f"[![{title}]({place}/figures/{name}.png)]({place}/README.md#figures)"
        for title, name in captions.items()
        if name in _SHOWN
    ]
    claims = pd.read_csv(folder / "tables/claims.csv")
    page = f"has all figures, each verdict with its number and interval, and the results. {nature}."
    opening = f"[The published reproduction]({place}/README.md) {page}"
    if not is_there:
        opening = (
            "The paper's own settings have not been run yet. What is shown here is another study, "
            f"[{folder.name}]({place}/README.md); its page {page}"
        )
    return "\n\n".join([opening, *pictures, in_short(claims)])


def _type(info: FieldInfo) -> str:
    bounds = [
        f"{symbol} {getattr(bound, name):g}"
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
        return "left out"
    if isinstance(info.default, BaseModel):
        return "as below"
    return f"`{str(info.default).lower() if isinstance(info.default, bool) else info.default}`"


if __name__ == "__main__":
    for file, content in stale().items():
        file.write_text(content)
        print(f"rewrote {file.relative_to(ROOT)}")
