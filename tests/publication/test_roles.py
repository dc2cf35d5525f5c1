"""Studies play roles in the paper's claims by the configuration, or none."""

import pandas as pd
import pytest

from flatness.analysis.claims import judge, sensitivity, with_sensitivity
from flatness.analysis.claims.the_claims import PARTS
from flatness.publication.publish import publish
from flatness.settings import load_settings
from flatness.settings.roles import ROLES
from tests.analysis.made_up import analysed
from tests.publication.made_up_results import configuration, made_up_results, made_up_runs

OPTIONS = {"interpolation_accuracy": 0.999, "confidence": 0.95, "bootstrap_draws": 50}


def test_roles_are_those_of_the_claims():
    assert set(ROLES.values()) == {part.role for part in PARTS}


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"vgg10": "vgg", "mlp": "mlp_numbers"}, {"VGG10": "vgg", "MLP": "mlp_numbers"}),
        ({"mlp": "vgg"}, {"MLP": "vgg"}),
        ({}, {}),
    ],
)
def test_a_study_plays_a_role_by_the_configuration(claims, roles):
    assert load_settings(configuration(claims=claims), "made up").claims.roles() == roles


@pytest.mark.parametrize("played", [("VGG10",), ("MLP",), ()])
def test_only_roles_that_are_played_have_rows(played):
    studies = {role: analysed(made_up_runs([0])) for role in played}
    claims = judge(studies, **OPTIONS)
    found = sensitivity(studies, claims, **OPTIONS)
    assert set(claims["network"]) == set(found["network"]) == set(played)
    assert len(claims) == sum(part.role in played for part in PARTS)
    assert len(with_sensitivity(claims, found)) == len(claims)


@pytest.fixture(scope="module")
def without_roles(tmp_path_factory):
    """A publication of studies without a role, over one of the same studies with theirs."""
    folder = tmp_path_factory.mktemp("published")
    for claims in (configuration()["claims"], {}):
        publish(made_up_results([0, 1], claims=claims), folder)
    return folder


def test_without_roles_a_publication_has_no_claims(without_roles):
    tables = {file.name for file in (without_roles / "tables").iterdir()}
    assert "correlations_vgg.md" in tables
    assert not [name for name in tables if "claims" in name or "sensitivity" in name]
    page = (without_roles / "README.md").read_text()
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings[:2] == ["## Figures", "## Correlations"]
    assert page.startswith("# Results: `made_up`\n")
    for word in ("claim", "verdict", "testable", "#sensitivity", "paper", "Chen", "runs;"):
        assert word not in page, word
    assert "\n\n\n" not in page


def test_with_one_role_the_page_has_its_claims_alone(tmp_path):
    publish(made_up_results([0, 1], claims={"vgg10": "vgg"}), tmp_path)
    claims = pd.read_csv(tmp_path / "tables/claims.csv")
    assert set(claims["network"]) == {"VGG10"}
    page = (tmp_path / "README.md").read_text()
    assert "| 1a | VGG10 | " in page
    assert "| MLP |" not in page
