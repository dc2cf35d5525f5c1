"""Correlation tables: what is written is what was computed, and says what it rests on."""

import csv
import itertools
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from flatness.analysis.correlations import FINAL_QUANTITIES, correlations
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import ANALYSIS, QUANTITIES
from flatness.tables.correlation_csv import write_csv
from flatness.tables.correlation_latex import write_latex
from flatness.tables.correlation_markdown import write_markdown
from tests.analysis.made_up import analysed, analysed_run

TERMS = PRIMITIVES | QUANTITIES | ANALYSIS
METHODS = {"pearson": "Pearson", "spearman": "Spearman", "kendall": "Kendall (tau-b)"}
PAIRS = list(itertools.combinations(FINAL_QUANTITIES, 2))
BOUNDS = ("mls_bound_b", "mls_bound_c", "mls_bound_d")
FEW_SETTINGS = "No interval over settings with fewer than 4."
REASON = r"first layer: W is shared, 100% of {it} & #2 cost $3_a^b ~ \c <d|e>"


def made_up_runs(rates=(0.1, 0.2), seeds=4, study="two_rates", **values):
    """Runs in which test loss and accuracy differ too; `values` as for `analysed_run`."""
    draw = np.random.default_rng(11)
    return [
        analysed_run(
            study=study,
            learning_rate=rate,
            seed=seed,
            **{"test_loss": draw.uniform(), "test_accuracy": draw.uniform()} | values,
        )
        for rate in rates
        for seed in range(seeds)
    ]


def correlated(runs):
    return correlations(analysed(runs), sample_set="train", confidence=0.95, bootstrap_draws=150)


def convolutional_runs():
    """Nothing for B, C and D, one diverged run, one without a log volume."""
    runs = made_up_runs(seeds=5, study="vgg10_cifar10", **dict.fromkeys(BOUNDS, np.nan))
    for run, name in itertools.product(runs, BOUNDS):
        run[name].attrs["absent"] = REASON
    runs[3]["log_volume"][-1, 0] = -np.inf
    return [*runs, analysed_run(study="vgg10_cifar10", seed=9, diverged=True)]


def markdown(runs, path, study="two_rates"):
    write_markdown(correlated(runs), path, study=study)
    return path.read_text()


def latex(runs, path, study="two_rates"):
    write_latex(correlated(runs), path, study=study)
    return path.read_text()


def in_words(group):
    """A group as people read it, of runs with the loss `mse`."""
    return group.replace("_", " ") + (" (mse)" if group.startswith("learning_rate") else "")


def section(text, group):
    """The part of a Markdown file on one group."""
    return re.search(rf"^## {re.escape(in_words(group))}: (.*?)(?=^## |\Z)", text, re.M | re.S)[1]


def notes(text, group):
    """What stands between a group's heading and its first table."""
    return section(text, group).split("### ")[0].split("\n\n", 1)[1].strip()


def value(dataset, group, method, one, other, name="coefficient"):
    place = {"group": group, "statistic": method, "quantity": one, "other_quantity": other}
    return dataset[name].sel({key: place[key] for key in dataset[name].dims}).item()


def rounded(dataset, group, method, one, other):
    """The three numbers to two decimals, NaN for what is not defined."""
    names = ("coefficient", "low", "high")
    return [round(value(dataset, group, method, one, other, name), 2) for name in names]


def markdown_cells(text, group, method):
    """The text of each cell with content, by row and column."""
    table = section(text, group).split(f"### {METHODS[method]}\n\n")[1].split("\n\n")[0]
    rows = [
        [cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in table.splitlines()
    ]
    header, _, *body = rows
    assert {len(row) for row in rows} == {len(header)}
    return {
        (row[0], column): cell
        for row in body
        for column, cell in zip(header[1:], row[1:], strict=True)
        if cell
    }


def pairs_of(runs):
    """The pairs that a page shows: of quantities that the runs have."""
    absent = {name for name in BOUNDS if "absent" in runs[0][name].attrs}
    return {pair for pair in PAIRS if absent.isdisjoint(pair)}


def latex_cells(text, caption):
    """The text of each cell of one table, and its interval's, by row and column."""
    floats = text.split(r"\begin{table}")[1:]
    (first,) = (position for position, part in enumerate(floats) if caption in part)
    others = itertools.takewhile(lambda part: "Further columns" in part, floats[first + 1 :])
    table = "\n".join(
        part.split(r"\begin{tabular}")[1].split(r"\end{tabular}")[0]
        for part in (floats[first], *others)
    )
    names = {TERMS[name].symbol or TERMS[name].long_name: name for name in FINAL_QUANTITIES}
    found = {}
    header, row = [], ""
    for line in table.splitlines():
        if not line.endswith(r"\\"):
            continue
        line = re.sub(r"^\\(midrule|addlinespace)", "", line.removesuffix(r"\\"))
        label, *cells = (cell.strip() for cell in line.split(" & "))
        if cells[0] in names:
            header = [names.get(cell, "") for cell in cells]
            continue
        row = names[label] if label else row
        for column, cell in zip(header, cells, strict=True):
            if cell:
                found.setdefault((row, column), []).append(cell)
    return found


def numbers(text):
    """A cell's numbers, NaN for those that are not there."""
    found = [float(number) for number in re.findall(r"-?\d+\.\d\d(?!\d)", text)]
    return found + [np.nan] * (3 - len(found))


@pytest.mark.parametrize("runs", [made_up_runs(), convolutional_runs()])
def test_csv_holds_every_pair_once_at_full_precision(runs, tmp_path):
    dataset = correlated(runs)
    write_csv(dataset, tmp_path / "table.csv")
    keys, columns = (
        ["group", "statistic", "quantity", "other_quantity"],
        ["coefficient", "low", "high", "settings_low", "settings_high"],
    )
    with open(tmp_path / "table.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [*keys, *columns, "n", "seeds"]
    groups = ("pooled", "learning_rate 0.1", "learning_rate 0.2")
    wanted = [(group, method, *pair) for group in groups for method in METHODS for pair in PAIRS]
    assert [tuple(row[:4]) for row in rows] == wanted
    for row in rows:
        expected = [value(dataset, *row[:4], name) for name in columns]
        found = [float(text or "nan") for text in row[4:9]]
        assert np.array_equal(found, expected, equal_nan=True)
        assert int(row[9]) == value(dataset, *row[:4], "n")
        assert int(row[10]) == value(dataset, *row[:4], "seeds")


@pytest.mark.parametrize("runs", [made_up_runs(), convolutional_runs()])
def test_markdown_shows_every_pair_with_its_interval(runs, tmp_path):
    dataset = correlated(runs)
    text = markdown(runs, tmp_path / "table.md")
    for group, method in itertools.product(dataset["group"].to_numpy(), METHODS):
        cells = markdown_cells(text, group, method)
        assert {(column, row) for row, column in cells} == pairs_of(runs)
        for (row, column), cell in cells.items():
            expected = rounded(dataset, group, method, row, column)
            assert np.allclose(numbers(cell), expected, atol=1e-9, equal_nan=True)
            if np.isnan(expected[0]):
                assert cell == "-"


def test_markdown_says_what_the_tables_rest_on(tmp_path):
    text = markdown(convolutional_runs(), tmp_path / "table.md", study="vgg10_cifar10")
    assert text.startswith("# Correlations between final quantities: vgg10_cifar10\n")
    assert section(text, "pooled").startswith("10 runs\n")
    for sentence in (
        "\n10 runs; of each the mean over the checkpoints in the last fifth of its iterations. "
        "Test loss, test accuracy and generalisation gap "
        "are those of all images, the other quantities those on the fixed sample set `train`. "
        "A of Eq. 28 is `mls`.\n",
        "\nIn brackets: 95% percentile interval of the bootstrap over whole seeds (150 draws, "
        "seed 0); in parentheses: the same over whole settings of learning rate and batch size. "
        "Draws for which a coefficient is not defined do not count. A dash: no coefficient.\n",
        "\nExcluded: `vgg10_cifar10_lr0.1_bs20_seed9` (the loss is not finite at iteration 7).\n",
        "\nNot counted where a value is not finite: `vgg10_cifar10_lr0.1_bs20_seed3` "
        "(`log_volume` -inf).\n",
        f"\nAbsent: `mls_bound_b`, `mls_bound_c`, `mls_bound_d` ({REASON}).\n",
        "\nDataset numbers (SHA-256 0123456789ab); flatness test, commit c0ffee.\n",
        "\n| `mls` | maximum local sensitivity | `1/n sum_i sigma_i1` | Eq. 13 |\n",
    ):
        assert sentence in text
    assert notes(text, "pooled") == f"9 of 10 runs count for `log_volume`.\n\n{FEW_SETTINGS}"
    assert notes(text, "learning_rate 0.1") == (
        f"4 of 5 runs count for `log_volume`.\n\n{FEW_SETTINGS}"
    )
    assert notes(text, "learning_rate 0.2") == FEW_SETTINGS


def test_two_commits_are_both_named_and_tables_of_earlier_versions_are_read(tmp_path):
    runs = [analysed_run(seed=seed) for seed in range(4)]
    runs[0].attrs["commit"] = "decaf"
    found = correlations(analysed(runs), sample_set="train", confidence=0.9, bootstrap_draws=100)
    lists = json.loads(found.attrs["provenance"])
    assert lists["commit"] == ["c0ffee", "decaf"]
    texts = json.dumps({key: ", ".join(each) for key, each in lists.items()})
    for dataset in (found, found.assign_attrs(provenance=texts)):
        write_markdown(dataset, tmp_path / "table.md", study="mlp")
        assert "flatness test, commit c0ffee, decaf.\n" in (tmp_path / "table.md").read_text()


def test_nothing_is_said_of_what_did_not_happen(tmp_path):
    text = markdown(made_up_runs((0.1, 0.2, 0.3, 0.4)), tmp_path / "table.md")
    assert "\nNo run is excluded.\n" in text
    text = text.replace(FEW_SETTINGS, "")  # true of the groups of one learning rate
    for word in ("Excluded", "Absent", "Not counted", "No coefficient", "No interval"):
        assert word not in text


def test_every_dash_has_its_reason(tmp_path):
    runs = made_up_runs((0.1, 0.2), seeds=5, study="holes")
    for position in (0, 1, 2):
        runs[position]["log_volume"][-1, 0] = -np.inf
    for position in (0, 3, 4):
        runs[position]["nmls"][-1, 0] = np.nan
    for position in (2, 3, 4):
        runs[position]["mls"][-2:, 0] = 7
    for position in (5, 6):
        runs[position]["local_dimension"][-1, 0] = np.inf
    for position in (7, 8, 9):
        runs[position]["mls"][-2:, 0] = 7
    for run in runs:
        run["sharpness"][:] = 7
    text = markdown(runs, tmp_path / "table.md")
    assert notes(text, "learning_rate 0.1") == "\n\n".join(
        [
            "2 of 5 runs count for `log_volume`, `nmls`.",
            "0 of 5 runs count for `nmls` with `log_volume`.",
            "No coefficient with fewer than 3 runs that count: `log_volume`, `nmls`.",
            "No coefficient where a quantity is the same in all runs that count: `sharpness`.",
            FEW_SETTINGS,
        ]
    )
    assert notes(text, "learning_rate 0.2") == "\n\n".join(
        [
            "3 of 5 runs count for `local_dimension`.",
            "No coefficient where a quantity is the same in all runs that count: `sharpness`, "
            "`local_dimension` with `mls`.",
            "No interval over seeds with fewer than 4 of which runs count: `local_dimension`.",
            FEW_SETTINGS,
        ]
    )
    assert notes(text, "pooled") == "\n\n".join(
        [
            "8 of 10 runs count for `local_dimension`.",
            "7 of 10 runs count for `log_volume`, `nmls`.",
            "5 of 10 runs count for `local_dimension` with `log_volume`, `nmls` with `log_volume`, "
            "`nmls` with `local_dimension`.",
            "No coefficient where a quantity is the same in all runs that count: `sharpness`.",
            "No interval over seeds with fewer than 4 of which runs count: `local_dimension` with "
            "`log_volume`.",
            FEW_SETTINGS,
        ]
    )
    for group in ("pooled", "learning_rate 0.1", "learning_rate 0.2"):
        dashes = [
            pair for pair, cell in markdown_cells(text, group, "kendall").items() if cell == "-"
        ]
        told = re.findall(r"No coefficient .*?: (.*)\.", notes(text, group))
        told = ", ".join(told).replace("`", "").split(", ")
        assert dashes
        for row, column in dashes:
            assert {row, column, f"{row} with {column}"} & set(told)


def test_three_seeds_have_no_interval_and_the_tables_say_so(tmp_path):
    runs = made_up_runs((0.1,), seeds=3)
    text = markdown(runs, tmp_path / "table.md")
    few_seeds = "No interval over seeds with fewer than 4."
    assert notes(text, "pooled") == f"{few_seeds}\n\n{FEW_SETTINGS}"
    cells = markdown_cells(text, "pooled", "pearson").values()
    assert all(re.fullmatch(r"-?\d\.\d\d", cell) for cell in cells)
    text = latex(runs, tmp_path / "table.tex")
    assert text.count(few_seeds) == len(METHODS)
    assert all(len(cell) == 1 for cell in latex_cells(text, "Pearson").values())


def test_two_runs_have_no_tables_and_the_files_say_so(tmp_path):
    runs = made_up_runs((0.1, 0.2), seeds=1)
    text = markdown(runs, tmp_path / "table.md")
    for group, count in (("pooled", "2 runs"), ("learning_rate 0.2", "1 run")):
        found = section(text, group)
        assert found.split() == f"{count} No coefficient with fewer than 3 runs.".split()
    text = latex(runs, tmp_path / "table.tex")
    assert r"\begin" not in text
    assert "\npooled, 2 runs: No coefficient with fewer than 3 runs.\n" in text
    write_csv(correlated(runs), tmp_path / "table.csv")
    table = pd.read_csv(tmp_path / "table.csv")
    assert table[["coefficient", "low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize("runs", [made_up_runs(), convolutional_runs()])
def test_latex_shows_every_pair_with_its_interval(runs, tmp_path):
    dataset = correlated(runs)
    text = latex(runs, tmp_path / "table.tex")
    for group, method in itertools.product(dataset["group"].to_numpy(), METHODS):
        escaped = in_words(group)
        cells = latex_cells(
            text, rf"[{METHODS[method]}, study \texttt{{two\_\allowbreak{{}}rates}}, {escaped}]"
        )
        assert {(column, row) for row, column in cells} == pairs_of(runs)
        for (row, column), cell in cells.items():
            expected = rounded(dataset, group, method, row, column)
            assert np.allclose(numbers(" ".join(cell)), expected, atol=1e-9, equal_nan=True)
            if np.isnan(expected[0]):
                assert cell == ["--"]
            else:
                assert [part.count("$") for part in cell] == [2, 2]


def test_latex_says_what_the_tables_rest_on(tmp_path):
    text = latex(convolutional_runs(), tmp_path / "table.tex", study="vgg10_cifar10")
    plain = text.replace(r"\allowbreak{}", "")
    introduction, *tables = plain.split(r"\begin{table}")
    reason = (
        r"first layer: W is shared, 100\% of \{it\} \& \#2 cost \$3\_a\textasciicircum{}b "
        r"\textasciitilde{} \textbackslash{}c \textless{}d\textbar{}e\textgreater{}"
    )
    for sentence in (
        r"\paragraph{Correlations between final quantities of \texttt{vgg10\_cifar10}.} 10 runs; "
        "of each the mean over the checkpoints in the last fifth of its iterations.",
        r"the other quantities those on the fixed sample set \texttt{train}. A of Eq. 28 is MLS. "
        r"In brackets: 95\% percentile interval of the bootstrap over whole seeds (150 draws, ",
        r"Excluded: \texttt{vgg10\_cifar10\_lr0.1\_bs20\_seed9} (the loss is not finite at "
        "iteration 7). Not counted where a value is not finite: "
        r"\texttt{vgg10\_cifar10\_lr0.1\_bs20\_seed3} ($\log\,\mathrm{dVol}$ -inf). "
        f"Absent: $B$, $C$, $D$ ({reason}). Dataset numbers (SHA-256 0123456789ab); flatness "
        r"test, commit c0ffee. Symbols: $S$ sharpness, $\sqrt{S}$ square root of the sharpness, ",
    ):
        assert sentence in introduction
    assert len(tables) == 3 * len(METHODS)
    assert (
        r"\caption[Kendall (tau-b), study \texttt{vgg10\_cifar10}, pooled]{Correlations between "
        r"final quantities: Kendall (tau-b), study \texttt{vgg10\_cifar10}, pooled, 10 runs, "
        r"sample set \texttt{train}. In brackets: 95\% bootstrap interval over seeds; in "
        "parentheses: over settings. 9 of 10 runs count for "
        rf"$\log\,\mathrm{{dVol}}$. {FEW_SETTINGS} Absent: $B$, $C$, $D$ ({reason}).}}"
    ) in tables[2]
    labels = re.findall(r"\\label\{(.*)\}", text)
    assert labels[2:4] == [
        "tab:correlations-vgg10-cifar10-pooled-kendall",
        "tab:correlations-vgg10-cifar10-learning-rate-0.1-pearson",
    ]
    assert len(set(labels)) == len(tables)


def test_what_is_longer_than_a_page_goes_on_in_a_further_table(tmp_path):
    text = latex(made_up_runs(), tmp_path / "table.tex")
    first, second, *others = text.split(r"\begin{table}")[1:]
    assert len(others) == 2 * (3 * len(METHODS) - 1)
    (label,) = re.findall(r"\\label\{(.*)\}", first)
    assert rf"{{Further columns of table \ref{{{label}}}: Pearson, study " in second
    assert rf"\label{{{label}-2}}" in second
    assert "pooled, further columns]" in second
    assert max(table.count(r"\\" + "\n") for table in (first, second, *others)) <= 62


@pytest.mark.parametrize("runs", [made_up_runs(), convolutional_runs(), made_up_runs((0.1,), 2)])
def test_latex_is_well_formed(runs, tmp_path):
    text = latex(runs, tmp_path / "table.tex")
    environments = []
    for kind, name in re.findall(r"\\(begin|end)\{(.*?)\}", text):
        if kind == "begin":
            environments.append(name)
        else:
            assert environments.pop() == name
    assert environments == []
    characters = re.sub(r"\\ifdim\\wd0>|\\[\\{}_$%&#]", "", text)
    assert characters.count("{") == characters.count("}")
    assert characters.count("$") % 2 == 0
    assert not re.search(r"[_^~#<>|]", re.sub(r"\$.*?\$", "", characters))
    for columns, body in re.findall(
        r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.S
    ):
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {line.count(" & ") + 1 for line in lines} == {len(columns)}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex, which is not here")
def test_latex_compiles(tmp_path):
    for position, runs in enumerate((made_up_runs(), convolutional_runs(), made_up_runs((1,), 2))):
        latex(runs, tmp_path / f"table{position}.tex", study=f"study_{position}")
    (tmp_path / "document.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs,graphicx,amsmath}\n\\begin{document}\n"
        "\\input{table0}\n\\input{table1}\n\\input{table2}\n\\listoftables\n\\end{document}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document"]
    for _ in range(2):
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout[-2000:]
    for complaint in ("Overfull", "too large", "multiply"):
        assert complaint not in result.stdout


def test_small_negative_numbers_have_no_sign(tmp_path):
    runs = made_up_runs((0.1,), seeds=5)
    dataset = correlated(runs)
    place = {"quantity": "mls", "other_quantity": "sharpness"}
    for name in ("coefficient", "low", "high"):
        dataset[name].loc[place] = -0.004
    write_markdown(dataset, tmp_path / "table.md", study="small")
    cells = markdown_cells((tmp_path / "table.md").read_text(), "pooled", "pearson")
    assert cells["mls", "sharpness"] == "0.00 [0.00, 0.00]"


def test_equal_tables_are_equal_files_and_nothing_else_stays(tmp_path):
    writers = {"csv": write_csv, "md": write_markdown, "tex": write_latex}
    for folder in ("one", "two"):
        for ending, write in writers.items():
            given = {} if ending == "csv" else {"study": "two_rates"}
            write(correlated(made_up_runs()), tmp_path / folder / f"table.{ending}", **given)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["table.csv", "table.md", "table.tex"]
    for name in names:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
        assert content.endswith(b"\n")
        assert b"\r" not in content


def test_tables_do_not_load_torch():
    formats = ("csv", "latex", "markdown")
    modules = ", ".join(f"flatness.tables.correlation_{name}" for name in formats)
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_both_intervals_stand_at_each_coefficient(tmp_path):
    runs = made_up_runs((0.1, 0.2, 0.3, 0.4))
    dataset = correlated(runs)
    ends = [
        value(dataset, "pooled", "pearson", "mls", "sharpness", name)
        for name in ("coefficient", "low", "high", "settings_low", "settings_high")
    ]
    coefficient, *others = (f"{end:z.2f}" for end in ends)
    seeds, settings = f"[{', '.join(others[:2])}]", f"({', '.join(others[2:])})"
    assert others[:2] != others[2:]
    pair = ("mls", "sharpness")
    cell = markdown_cells(markdown(runs, tmp_path / "table.md"), "pooled", "pearson")[pair]
    assert cell == f"{coefficient} {seeds} {settings}"
    cell = latex_cells(
        latex(runs, tmp_path / "table.tex"),
        "pooled]{Correlations between final quantities: Pearson",
    )
    assert [re.search(r"\$(.*)\$", line)[1] for line in cell[pair]] == [
        coefficient,
        seeds,
        settings,
    ]


def test_a_learning_rate_stands_beside_its_loss(tmp_path):
    runs = made_up_runs()
    for run in runs:
        run.attrs["settings"] = run.attrs["settings"].replace('"mse"', '"half_squared_error"')
    title = "learning rate 0.1 (half_squared_error; 0.5 in mse)"
    assert f"\n## {title}: 4 runs\n" in markdown(runs, tmp_path / "table.md")
    assert title in latex(runs, tmp_path / "table.tex").replace(r"\_\allowbreak{}", "_")
