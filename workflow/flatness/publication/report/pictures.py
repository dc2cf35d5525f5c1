"""The figures of a report: SVG that stands inside its page."""

import re
from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Picture:
    """A figure on a page.

    Args:
        name: of its target, such as "fig1", which links lead to.
        title: such as "Figure 1".
        subject: in a few words.
        caption: of the configuration.
        whole: the inside of its <svg>, the drawing in a group with the id `picture-NAME`.
        size: the viewBox of all of it.
        panels: the viewBox without headline and caption, for a small picture.
    """

    name: str
    title: str
    subject: str
    caption: str
    whole: Markup
    size: str
    panels: str


def drawn_runs(svg: str) -> list[str]:
    """The ids of the runs that a figure names on their own, in the order of its panels."""
    return list(dict.fromkeys(re.findall(r'data-runs="([^" ]+)"', svg)))


def picture(svg: str, name: str, *, title: str, subject: str, caption: str) -> Picture:
    """A figure for a page, whose ids no other figure of the page has.

    Args:
        svg: as `flatness.figures.svg.as_svg` gives it.
        name: of its target.
        title: see `Picture`.
        subject: see there.
        caption: see there.
    """
    head, inside = svg[: svg.index(">")], svg[svg.index('<g class="picture">') :]
    inside = inside[: inside.rindex("</svg>")].replace(
        '<g class="picture">', f'<g class="picture" id="picture-{name}">', 1
    )
    own = re.compile(r'(?<= id=")(?!picture-)|(?<=url\(#)|(?<=href="#)')
    panels = re.search(r'<view id="panels" viewBox="([^"]*)"', svg)[1]
    size = re.search(r'viewBox="([^"]*)"', head)[1]
    return Picture(name, title, subject, caption, Markup(own.sub(f"{name}-", inside)), size, panels)
