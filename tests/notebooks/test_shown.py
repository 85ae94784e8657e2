"""What a notebook shows of networks, plans and histories."""

import html.parser

import numpy as np

import numbabp as nbp

X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]


class Cells(html.parser.HTMLParser):
    """The rows of all tables in a piece of HTML, every element of which must be closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.text = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag == "br":
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def shown(of):
    return Cells(of._repr_html_())


def test_a_network_is_shown_by_layers():
    page = shown(nbp.Network((784, 128, 10), hidden_activation="relu", loss="categorical_cross_entropy"))
    assert page.rows[1:] == [
        ["input", "", "784", "", ""],
        ["hidden 1", "relu", "128", "784 x 128", "100,480"],
        ["output", "softmax", "10", "128 x 10", "1,290"],
    ]
    assert "categorical_cross_entropy, float64, 101,770 parameters" in page.text


def test_a_population_says_how_many():
    page = shown(nbp.Population((2, 4, 1), 1200, numerics="strict"))
    assert "Population of 1,200 networks" in page.text and "strict" in page.text
    assert len(page.rows) == 4


def test_a_plan_shows_what_was_not_taken_and_why():
    plan = nbp.Network((64, 32, 10), loss="categorical_cross_entropy").plan(1000)
    page = shown(plan)
    assert page.text.startswith(plan.explain().splitlines()[0])
    taken = {row[0] for row in page.rows[1:]}
    assert taken and plan.name not in taken
    assert all(len(row) == 3 and row[1] for row in page.rows)


def test_a_population_s_plan_is_shown_too():
    plan = nbp.Population((2, 4, 1), 64).plan(4)
    page = shown(plan)
    assert plan.name in page.text
    assert len(page.rows) == 1 + len(plan.alternatives)


def test_a_history_shows_where_the_best_was():
    history = nbp.History(
        {"loss": [0.5, 0.25, 0.3], "accuracy": [0.5, 1, 1], "validation_loss": [np.nan] * 3},
        learning_rate=np.ones(3),
        stop_reason="early stopping",
        seconds=1.5,
    )
    page = shown(history)
    assert page.rows == [
        ["", "first", "best", "in epoch", "last"],
        ["loss", "0.5", "0.25", "2", "0.3"],
        ["accuracy", "0.5", "1", "2", "1"],
    ]
    assert "3 epochs, early stopping, 1.5 s" in page.text


def test_a_history_without_an_epoch_is_shown():
    page = shown(nbp.History({"loss": []}, learning_rate=[]))
    assert len(page.rows) == 1 and "0 epochs" in page.text


def test_a_stream_s_history_counts_samples():
    history = nbp.Network((2, 3, 1)).fit_stream([(X, y)] * 3, progress=False)
    page = shown(history)
    assert page.rows[0][3] == "after samples" and "12 samples" in page.text


def test_a_population_s_history_shows_quantiles():
    population = nbp.Population((2, 3, 1), 5, random_state=0)
    history = population.fit(X, y, epochs=2, progress=False)
    page = shown(history)
    by_name = {row[0]: row[1:] for row in page.rows}
    losses = np.sort(history.last())
    assert by_name["loss"][0] == f"{losses[0]:.6g}"
    assert by_name["loss"][2] == f"{losses[2]:.6g}"
    assert by_name["loss"][4] == f"{losses[4]:.6g}"
    assert "5 networks, 2 epochs, finished" in page.text


def test_names_are_not_markup():
    history = nbp.History({"loss": [1.0]}, learning_rate=[1.0], stop_reason="<b>")
    assert "&lt;b&gt;" in history._repr_html_()
