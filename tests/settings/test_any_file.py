"""Whatever stands in a configuration file: a mapping, or one line that says where not."""

import json
import re

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from flatness.errors import SettingsError
from flatness.settings import check_file

# name: (content, what the line says)
MALFORMED = {
    "empty": (b"", "holds nothing"),
    "comment only": (b"# later\n", "holds nothing"),
    "list": (b"- a\n- b\n", "holds a list"),
    "number": (b"3\n", "holds a int"),
    "text": (b"name\n", "holds a str"),
    "JSON list": (b"[1]", "holds a list"),
    "unclosed": (b"name: [x\n", r"line 2, column 1 is no plain YAML \(expected ',' or '\]'"),
    "tab": (b"name: x\n\tfolders: 3\n", r"line 2, column 1 is no plain YAML"),
    "two documents": (b"a: 1\n---\nb: 2\n", "another document"),
    "undefined alias": (b"a: *b\n", "undefined alias 'b'"),
    "list as a key": (b"? [a]\n: 3\n", "unhashable key"),
    "twice the same key": (b"name: a\nname: b\n", "name stands twice, in lines 1 and 2"),
    "twice, further down": (
        b"studies:\n  a:\n    sweep:\n    - {batch_size: 1, batch_size: 2}\n",
        r"studies\.a\.sweep\[0\]\.batch_size stands twice",
    ),
    "twice in JSON": (b'{"a": {"b": 1, "b": 2}}', r"a\.b stands twice"),
    "no UTF-8": (b"name: caf\xe9\n", "byte 9 is no UTF-8"),
    "UTF-16": ("name: x\n".encode("utf-16"), "byte 0 is no UTF-8"),
    "binary": (b"\x00\x01\x02\xff", "byte 3 is no UTF-8"),
    "zero bytes": (b"\x00\x00", "special characters are not allowed"),
    "deep": (b"a: " + b"[" * 3000 + b"]" * 3000, "nested too deeply"),
    "deep JSON": (b"[" * 5000, "nested too deeply"),
    "number of 5000 digits": (b"a:\n  b: " + b"9" * 5000, r"a\.b in line 2 cannot be read"),
    "month 99": (b"a: 2020-99-01\n", r"a in line 1 cannot be read \(month must be"),
    "number that is none": (b"a: !!int x\n", r"a in line 1 cannot be read"),
    "bytes that are none": ("a: !!binary é\n".encode(), "failed to convert base64 data"),
    "object": (b"a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
    "function": (b"a: !!python/name:os.getcwd\n", "could not determine a constructor"),
    "module": (b"a: !!python/module:os\n", "could not determine a constructor"),
    "template": (b"__use_yte__: true\n?1 + 1: 2\n", "__use_yte__ makes it a template"),
}


def _refusal(path) -> str:
    """The line with which a file is refused; empty if it is not."""
    try:
        check_file(path)
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_file(tmp_path, case):
    content, message = MALFORMED[case]
    (tmp_path / "my.yaml").write_bytes(content)
    line = _refusal(tmp_path / "my.yaml")
    assert re.fullmatch(rf"\S*my\.yaml: .*({message}).* Allowed: .*\.", line), line
    assert line.isprintable()


def test_what_is_no_file(tmp_path):
    assert "absent.yaml: cannot be read (No such file" in _refusal(tmp_path / "absent.yaml")
    assert "cannot be read (Is a directory)" in _refusal(tmp_path)


def test_sound_files(root, tmp_path):
    for name in ("config.yaml", "demo.yaml"):
        assert not _refusal(root / "config" / name)
        content = yaml.safe_load((root / "config" / name).read_text())
        (tmp_path / "my.json").write_text(json.dumps(content, indent="\t"))
        assert not _refusal(tmp_path / "my.json")
        (tmp_path / "my.yaml").write_bytes(b"\xef\xbb\xbf" + (root / "config" / name).read_bytes())
        assert not _refusal(tmp_path / "my.yaml")


@settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_bytes_anywhere_give_a_mapping_or_one_line(root, tmp_path, data):
    content = (root / "config/config.yaml").read_bytes()
    content = content[content.index(b"name:") :]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = start + data.draw(st.sampled_from([0, 0, 1, 5, 100]))
        put = data.draw(
            st.binary(max_size=4)
            | st.text(max_size=4).map(lambda text: text.encode("utf-8", "replace"))
            | st.sampled_from([b"\t", b"\n", b": ", b"- ", b"[", b"}", b"&a ", b"*a", b"!!", b"'"])
        )
        content = content[:start] + put + content[end:]
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    line = _refusal(path)
    event("refused" if line else "accepted")
    if line:
        assert line.isprintable()
        assert "Allowed: " in line
    else:
        assert isinstance(yaml.safe_load(content.decode()), dict)
