"""The bar below a notebook's cell, in a kernel."""

import pytest

from numbabp.notebooks.bar import NotebookBar, in_notebook

BEFORE = """
import numbabp as nbp
from numbabp.training import progress
progress.SHOW_AFTER = 0
X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
"""


def shown(code):
    """What a cell leaves below itself after `BEFORE`: a list of its outputs."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(BEFORE + code)])
    nbclient.NotebookClient(notebook, timeout=300).execute()
    return notebook.cells[0].outputs


def bars(outputs):
    return [output["data"] for output in outputs if output.output_type == "display_data"]


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("nbp.Network((2, 3, 1)).fit(X, y, epochs=300_000);", "epoch 300000/300000, loss "),
        ("nbp.Population((2, 3, 1), 64).fit(X, y, epochs=3000);", "epoch 3000/3000, loss "),
        ("nbp.Network((2, 3, 1)).fit_stream([(X, y)] * 300);", "sample 1200, loss "),
    ],
    ids=["network", "population", "stream"],
)
def test_a_fit_shows_one_bar_that_ends_where_it_ended(code, what):
    (bar,) = bars(shown(code))
    assert what in bar["text/plain"] and what in bar["text/html"]
    assert ("<progress value='1.0000'" in bar["text/html"]) == what.startswith("epoch")


def test_no_bar_is_asked_for():
    assert not bars(shown("nbp.Network((2, 3, 1)).fit(X, y, epochs=300_000, progress=False);"))


def test_what_is_compiled_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    code = "progress.SHOW_AFTER = 60\nnbp.Network((2, 3, 1)).fit(X, y, kernel='sequential');"
    (bar,) = bars(shown(code))
    assert bar["text/plain"].startswith("compiled in ")


def test_looks_are_sent_ten_times_a_second_and_the_last_one_at_the_end(monkeypatch):
    display = pytest.importorskip("IPython.display")
    sent = []

    class Handle:
        def update(self, bar):
            sent.append(repr(bar))

    def display_it(bar, display_id):
        assert display_id
        sent.append(repr(bar))
        return Handle()

    monkeypatch.setattr(display, "display", display_it)
    bar = NotebookBar()
    for epoch in range(50):
        bar.show(f"epoch {epoch}", epoch / 50)
    assert sent == ["epoch 0"]
    bar.close()
    bar.close()
    assert sent == ["epoch 0", "epoch 49"]


def test_this_is_no_notebook():
    assert not in_notebook()
