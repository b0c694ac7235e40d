"""How Sphinx makes the documentation: sphinx-build -q -W doc doc/_build/html."""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE / "ext"), str(_HERE.parent), str(_HERE.parent / "tools")]

from nova.release import version as _version  # noqa: E402

project = "Nova"
copyright = "the authors of this project"
version = release = _version()

extensions = ["myst_parser", "openstackdocstheme", "reference"]
exclude_patterns = ["_build", "ext", "man"]
html_theme = "openstackdocs"
html_title = "Nova: a compute control plane"
html_static_path: list[str] = []
# The theme would ask git.
openstackdocs_auto_name = False
openstackdocs_auto_version = False
# The project has no bug tracker that the theme knows.
html_theme_options = {"show_other_versions": False}

myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
# Indented blocks are commands, trees and tables.
highlight_language = "text"
