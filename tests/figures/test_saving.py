"""Figures as files."""

from matplotlib.figure import Figure

from flatness.figures.saving import save_figure


def test_the_endings_choose_the_formats(tmp_path):
    paths = [tmp_path / "one.png", tmp_path / "folder/one.pdf"]
    save_figure(Figure(), *map(str, paths))
    assert [path.read_bytes()[:4] for path in paths] == [b"\x89PNG", b"%PDF"]
    assert b"CreationDate" not in paths[1].read_bytes()
    assert len(list(tmp_path.rglob("*.*"))) == 2
