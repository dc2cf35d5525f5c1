"""A figure as a page of the report."""

import base64
import re

from flatness.figures.page import write_page


def test_the_page_holds_the_picture_and_nothing_from_elsewhere(tmp_path):
    picture = tmp_path / "fig1.png"
    picture.write_bytes(b"\x89PNG not really")
    write_page(picture, tmp_path / "fig1.html", title="Figure <1>")
    text = (tmp_path / "fig1.html").read_text()
    content = re.search(r'src="data:image/png;base64,([^"]+)"', text)[1]
    assert base64.b64decode(content) == picture.read_bytes()
    assert "<title>Figure &lt;1&gt;</title>" in text
    assert 'alt="Figure &lt;1&gt;"' in text
    assert "max-width: 100%" in text
    assert text.count("src=") == 1
