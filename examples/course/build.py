"""Make examples/backpropagation.ipynb and examples/retropropagacion.ipynb from source.md.

    python examples/course/build.py            # run both notebooks, and keep them with their outputs

The source is made of blocks that begin with a line of their own: `%%% text en` and `%%% text es` are a cell
of text in one language, `%%% code` is a cell of code of both, with tags behind it. In code `<<es||en>>` is a
text in each language.
"""

import os
import re
from pathlib import Path
from typing import Any

import nbformat

REPOSITORY = "numbabp/numbabp"
"""On GitHub: Colab and Binder take the notebooks from there."""
EXAMPLES = Path(__file__).parents[1]
NOTEBOOKS = {"en": "backpropagation.ipynb", "es": "retropropagacion.ipynb"}
"""By language."""
SECONDS = 600
"""That a cell may take; the first run compiles."""


def badges(name: str) -> str:
    """Links that open a notebook in Colab and in Binder."""
    colab = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/examples/{name}"
    binder = f"https://mybinder.org/v2/gh/{REPOSITORY}/main?labpath=examples%2F{name}"
    return (
        f"[![Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})\n"
        f"[![Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def in_language(text: str, language: str) -> str:
    """Code or text of one language, with the links filled in."""
    text = re.sub(r"<<(.*?)\|\|(.*?)>>", r"\1" if language == "es" else r"\2", text)
    return text.replace("@badges@", badges(NOTEBOOKS[language])).replace("@repository@", REPOSITORY)


def notebook(language: str) -> Any:
    """The notebook of a language, without outputs."""
    source = (Path(__file__).parent / "source.md").read_text(encoding="utf-8")
    made = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for block in re.split(r"^%%% ", source, flags=re.MULTILINE)[1:]:
        head, _, body = block.partition("\n")
        kind, *tags = head.split()
        if kind == "text" and tags != [language]:
            continue
        new_cell = nbformat.v4.new_markdown_cell if kind == "text" else nbformat.v4.new_code_cell
        cell = new_cell(in_language(body.strip(), language), id=f"cell-{len(made.cells)}")
        if kind == "code" and tags:
            cell.metadata["tags"] = tags
        made.cells.append(cell)
    return made


def run(made: Any) -> Any:
    """The notebook with the outputs of a fresh kernel."""
    from nbclient import NotebookClient

    resources = {"metadata": {"path": str(EXAMPLES)}}
    client = NotebookClient(made, timeout=SECONDS, resources=resources, record_timing=False)
    # another backend than the notebook's own would leave it without pictures
    return client.execute(env={name: value for name, value in os.environ.items() if name != "MPLBACKEND"})


if __name__ == "__main__":
    for language, name in NOTEBOOKS.items():
        nbformat.write(run(notebook(language)), EXAMPLES / name)
