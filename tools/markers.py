"""What stands between two markers of a page, such as <!-- begin keys --> and <!-- end keys -->."""


def between(content: str, marker: str, text: str) -> str:
    """What a file holds, with `text` in the place of what stands between two markers."""
    begin, end = f"<!-- begin {marker} -->\n", f"<!-- end {marker} -->"
    before, rest = content.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}{text}\n{end}{after}"
