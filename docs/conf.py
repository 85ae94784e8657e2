"""How Sphinx builds the site; `python docs/build.py` calls it, and puts the benchmarks' dashboard beside it.

What is made on the way - pages of the gallery, of the reference and of notebooks - lies in docs/made.
"""

import importlib
import inspect
import os
import re
import runpy
import shutil
from importlib.util import find_spec
from pathlib import Path

import numbabp

FONT = Path(str(find_spec("ziamath").origin)).parent / "fonts" / "STIXTwoMath-Regular.ttf"
"""Of formulas; without a font for these, indices stand apart from what they belong to."""
DOCS = Path(__file__).parent
ROOT = DOCS.parent
NOTEBOOKS = ("backpropagation", "retropropagacion", "xor_at_scale")
"""In examples; they are shown with the outputs that they are kept with."""
OF_COURSE = runpy.run_path(str(ROOT / "examples" / "course" / "build.py"))
REPOSITORY = f"https://github.com/{OF_COURSE['REPOSITORY']}"

project = "numbabp"
author = copyright = "numbabp developers"
version = release = numbabp.__version__
root_doc = "index"
exclude_patterns = ["_build", "made/gallery/*.ipynb"]
templates_path = ["templates"]
extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.linkcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.mermaid",
]

# Pages: Markdown as on GitHub.
nb_execution_mode = "off"
nb_mime_priority_overrides = [("html", "image/gif", 25)]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_fence_as_directive = {"mermaid"}
myst_heading_anchors = 4
html_math_renderer = "mathml"

# The reference, from docstrings. In them `name` is a name of Python, if there is one.
default_role = "py:obj"
autosummary_generate = True
autodoc_typehints = "none"  # docstrings tell types, with shapes
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"

sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "examples" / "gallery"),
    "gallery_dirs": "made/gallery",
    "download_all_examples": False,
    "capture_repr": (),
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("matplotlib",),
}

# How it looks: the theme of NumPy, SciPy and scikit-learn, whose readers come here.
html_theme = "pydata_sphinx_theme"
html_title = "numbabp"
html_static_path = ["static", str(FONT)]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": []}
html_theme_options = {
    "github_url": REPOSITORY,
    "header_links_before_dropdown": 6,
    "navbar_persistent": ["search-button"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
}
copybutton_exclude = ".linenos, .gp, .go"  # prompts and what was printed
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True


def link(path):
    """Where a link to a file of the repository goes: to a page, or to GitHub."""
    notebook = re.fullmatch(r"examples/(\w+)\.ipynb", path)
    if notebook and notebook[1] in NOTEBOOKS:
        return f"/made/notebooks/{notebook[1]}.ipynb"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    kind = "tree" if (ROOT / path).is_dir() else "blob"
    return f"{REPOSITORY}/{kind}/main/{path}"


def linkcode_resolve(domain, info):
    """Where the source of what the reference describes stands; None for what is not of the package."""
    found = importlib.import_module(info["module"])
    for name in info["fullname"].split("."):
        found = getattr(found, name, None)
    found = inspect.unwrap(found.fget if isinstance(found, property) else found)
    try:
        path = Path(inspect.getsourcefile(found)).relative_to(Path(numbabp.__file__).parent)
        lines, first = inspect.getsourcelines(found)
    except (TypeError, ValueError):
        return None
    return f"{link(f'numbabp/{path.as_posix()}')}#L{first}-L{first + len(lines) - 1}"


def titled(text):
    """Let links whose words are the name of a page have its title, or that of a section, instead."""
    return re.sub(r"\[(?:docs/)?[\w-]+\.md\](?=\((?!https?:))", "[]", text)


def link_out_of_docs(app, name, source):
    """Change those links of a page that lead out of docs."""

    def changed(match):
        path = Path(os.path.normpath((DOCS / name).parent / match[1])).relative_to(ROOT).as_posix()
        return match[0] if path.startswith("docs/") else f"]({link(path)})"

    source[0] = titled(re.sub(r"\]\(((?:\.\./)+[^)#]+)\)", changed, source[0]))


def link_from_root(app, path, name, content):
    """Change the links of what a page includes, which lies above docs."""
    local = r"\]\((?!https?:)([\w./-]+)"
    content[0] = titled(re.sub(local, lambda match: f"]({link(match[1])}", content[0]))


def free_of_labels(app, what, name, obj, options, lines):
    """Leave of references to pages of scikit-learn, in docstrings that come from there, the words."""
    text = re.sub(r":(?:ref|term):`([^`<]+?)\s*<[^`]+>`", r"\1", "\n".join(lines))
    text = re.sub(r":ref:`sphx_glr_[^`]*?(plot_\w+\.py)`", r"``\1``", text)
    lines[:] = re.sub(r":term:`([^`]+)`", r"``\1``", text).split("\n")


def bring_notebooks(app):
    """Put them where Sphinx finds them."""
    folder = DOCS / "made" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for name in NOTEBOOKS:
        shutil.copy(ROOT / "examples" / f"{name}.ipynb", folder)


def mathml(formula, block):
    """A formula as browsers draw it by themselves, without a script and without a network."""
    from docutils.utils.math import latex2mathml

    # MathML has no space of its own around the names of functions
    formula = re.sub(r"(?<=[\w)}])\s*(?=\\(?:log|max|tanh)\b)", r"\\,", formula)
    formula = re.sub(r"(\\(?:log|tanh)) (?=[\w\\])", r"\1\\, ", formula)
    return latex2mathml.tex2mathml(formula, as_block=block)


def visit_math(writer, node):
    """A formula within a line."""
    from docutils import nodes

    writer.body.append(mathml(node.astext(), block=False))
    raise nodes.SkipNode


def visit_math_block(writer, node):
    """A formula by itself."""
    from docutils import nodes

    writer.body.append(f'<div class="formula">{mathml(node.astext(), block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """What Sphinx calls."""
    from pygments.lexers import TextLexer

    for name in ("layers", "tree"):  # of blocks in architecture.md, which tests read
        app.add_lexer(name, TextLexer)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("autodoc-process-docstring", free_of_labels)
    app.connect("builder-inited", bring_notebooks)
    app.connect("include-read", link_from_root)
    app.connect("source-read", link_out_of_docs)
