"""How `make site` builds the documentation, with Sphinx.

The source is the whole repository, so that links between pages are the same there and here.
"""

project = "flatness"
author = copyright = "the authors of flatness"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "tools.site.docstrings",
    "tools.site.mathml",
    "tools.site.navigation",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "config/README.md",
    "results/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
# What is not walked through in search of pages.
exclude_patterns = [".*", "data", "results/*/**", "tests", "tools", "workflow"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
highlight_language = "text"  # of code blocks without a language

autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = napoleon_use_rtype = False
default_role = "code"  # of `names` in docstrings

html_theme = "furo"
html_title = "flatness"
html_math_renderer = "mathml"
html_additional_pages = {"index": "to_the_front_page.html"}
html_static_path = ["static"]
html_css_files = ["formulas.css", "tables.css"]
templates_path = ["templates"]
html_show_copyright = html_copy_source = html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}
