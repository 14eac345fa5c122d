"""The drawing says what the declaration says, in valid SVG, and no two boxes meet."""

from xml.etree import ElementTree

import pytest

from limbeck.catalogue.describe import describe
from limbeck.catalogue.graph import Graph, _rising, deployed_roles
from limbeck.methods import CATALOGUE
from limbeck.plan import Method
from limbeck.report import svg

SVG = "{http://www.w3.org/2000/svg}"


def words(method: Method) -> list[str]:
    return [t.text or "" for t in ElementTree.fromstring(svg(method)).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_method_is_drawn(name):
    method = CATALOGUE[name]()
    root = ElementTree.fromstring(svg(method))
    assert root.get("width") == "960"
    assert root.find(f"{SVG}desc").text == describe(method)
    assert root.get("role") == "img"
    shown = " ".join(words(method))
    for number, stage in enumerate(method.stages):
        assert f"stage {number + 1}: {stage.name}" in shown
    for role in method.roles():
        assert role in shown


@pytest.mark.parametrize("name", CATALOGUE)
def test_no_two_boxes_of_a_column_meet(name):
    method = CATALOGUE[name]()
    for stage, update in method.updates():
        graph = Graph(method, stage, update, deployed_roles(method))
        for column in range(graph.depth + 3):
            boxes = sorted(graph.column(column).values(), key=lambda box: box.y)
            for above, below in zip(boxes, boxes[1:]):
                assert above.y + above.height < below.y
        for edge in graph.edges:  # an edge only ever crosses one gap, so that it never runs behind a box
            assert graph.boxes[edge.end].column == graph.boxes[edge.start].column + 1


def test_two_stages_with_a_learned_part():
    shown = words(CATALOGUE["fitnets"]())
    assert {"regressor", "ConvRegressor", "trains up to layer2", "4 to 1", "trains, deployed"} <= set(shown)
    assert shown.count("frozen") == 3  # the teacher in both stages, and the legend


def test_who_trains_is_filled_and_who_does_not_says_frozen():
    method = CATALOGUE["adversarial"]()
    stage = method.stages[0]
    judge, learner = (Graph(method, stage, update) for update in stage.updates)
    assert {b.head[0] for b in judge.boxes.values() if b.trained} == {"judge"}
    assert {b.head[0] for b in learner.boxes.values() if b.trained} == {"student", "adapter"}
    assert all(
        "frozen" in b.head for g in (judge, learner) for b in g.boxes.values() if b.kind in ("role", "part") and not b.trained
    )


def test_stopped_gradients_are_dashed():
    method = CATALOGUE["kd"]()
    graph = Graph(method, method.stages[0], method.stages[0].updates[0])
    stopped = {edge.start for edge in graph.edges if edge.stopped}
    assert stopped == {"role teacher inputs"}


def test_averages_views_and_partitions_are_named():
    shown = " ".join(words(CATALOGUE["mean_teacher"]()))
    for expected in ("average of student", "teacher on second", "and unlabelled", "rises to 10", "moving average"):
        assert expected in shown


def test_generated_data_is_a_source_that_trains():
    shown = words(CATALOGUE["zero_shot"]())
    assert "Impressions" in shown
    assert "made here" in shown


def test_hostile_names_stay_text():
    method = CATALOGUE["kd"]().but(name="<script>alert(1)</script>", paper="A & B")
    root = ElementTree.fromstring(svg(method))
    assert not list(root.iter(f"{SVG}script"))


def test_rising_is_the_least_squares_fit():
    # the pair (3, 1) is replaced by its mean
    assert _rising([0.0, 3.0, 1.0, 4.0]) == [0.0, 2.0, 2.0, 4.0]
