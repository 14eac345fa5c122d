"""Survey C's own list of techniques (surveys.md, section 4): the abstract row that is computed from each declaration says the
same data preparation, teachers : students, knowledge @ location and transfer as the survey's table does in its words."""

import pytest

from limbeck.catalogue.describe import as_row
from limbeck.catalogue.lessons import lessons, transfer_of
from limbeck.catalogue.taxonomy import taxonomy
from limbeck.methods import find

SOFT = "soft labels @ output"


def maps(kind, *layers):
    return "; ".join(f"{kind} @ {layer}" for layer in layers)


THREE = ("layer1", "layer2", "layer3")
TABLE = {  # (technique, method): (data, teachers : students, knowledge @ location, families of transfer)
    ("Hinton 2015", "kd"): ("same", "1 : 1", SOFT, {"divergence"}),
    ("Hinton 2015, ensemble", "teachers_mean"): ("same", "n : 1", SOFT, {"divergence"}),
    ("Ba & Caruana 2014", "logit_regression"): ("same", "1 : 1", "logits @ output", {"squares"}),
    ("FitNets 2015", "fitnets"): ("same", "1 : 1", f"features @ layer2; {SOFT}", {"squares", "divergence"}),
    ("Attention transfer 2017", "attention"): ("same", "1 : 1", maps("attention maps", *THREE), {"squares"}),
    ("FSP 2017", "fsp"): ("same", "1 : 1", maps("relations of layers", *THREE), {"squares"}),
    ("Factor transfer 2018", "factor_transfer"): ("same", "1 : 1", "factors @ layer3", {"absolute"}),
    ("Data distillation 2018", "data_distillation"): (
        "unlabelled, view look_1, view look_2", "1 : 1", "hard labels @ output", {"divergence"},
    ),
    ("Noisy teacher 2016", "noisy_teacher"): ("same", "1 : 1", "logits @ output", {"squares"}),
    ("Multiple teachers 2017", "teachers_voted"): (
        "same", "n : 1", f"{SOFT}; relations of samples @ pool", {"divergence", "order"},
    ),
    ("PATE 2017", "pate"): (
        "train[1/5], train[2/5], train[3/5], train[4/5], train[5/5], unlabelled", "n : 1", "hard labels @ output", {"divergence"},
    ),
    ("Mean teacher 2017", "mean_teacher"): ("unlabelled, view second", "1 : 1", SOFT, {"squares"}),
    ("Temporal ensembling 2017", "temporal_ensembling"): ("unlabelled", "1 : 1", SOFT, {"squares"}),
    ("Deep mutual learning 2018", "mutual"): ("same", "n : n", SOFT, {"divergence"}),
    ("Born-again 2018", "born_again"): ("same", "1 : 1, chain", SOFT, {"divergence"}),
    ("Teacher assistant 2019", "assistant"): ("same", "n : n, chain", SOFT, {"divergence"}),
    ("Label refinery 2018", "label_refinery"): ("view crop", "1 : 1, chain", SOFT, {"divergence"}),
    ("Cross-modal 2016", "cross_modal"): ("view paired", "1 : 1", "features @ layer3", {"squares"}),
    ("Learning from noisy labels 2017", "clean_labels"): ("train[1/10]", "1 : 1", SOFT, {"divergence"}),
    ("Specialists 2015", "specialists"): (
        "train[classes 0,1], train[classes 2,3]", "n : 1", SOFT, {"divergence"},
    ),
    ("Data-free 2019", "zero_shot"): (None, "1 : 1", SOFT, {"divergence"}),
    ("Few samples 2018", "few_shot"): (None, "1 : 1", SOFT, None),
}  # fmt: skip


@pytest.mark.parametrize(("technique", "name"), TABLE, ids=[technique for technique, _ in TABLE])
def test_the_computed_row_is_the_surveys(technique, name):
    method = find(name)()
    data, ratio, knowledge, families = TABLE[technique, name]
    row = as_row(method)
    assert row["teachers : students"] == ratio
    assert row["knowledge @ location"] == knowledge
    assert row["data"] == data if data is not None else row["data"].startswith("made by")
    if families is not None:
        assert {transfer_of(lesson.term) for lesson in lessons(method)} == families


def test_what_the_survey_says_beside_the_four_columns():
    """Two stages where it says so, GT or not, masks, feedback from student to teacher."""

    def has_task(name, stage=-1):
        return any("task" in t.name for u in find(name)().stages[stage].updates for t in u.terms)

    assert has_task("kd") and has_task("attention") and not has_task("logit_regression") and not has_task("noisy_teacher")
    assert not has_task("pate") and not has_task("label_refinery")
    for name in ("fitnets", "fsp", "factor_transfer", "pate", "clean_labels", "specialists", "cross_modal"):
        assert len(find(name)().stages) == 2, name
    assert taxonomy(find("mean_teacher")()).own and taxonomy(find("temporal_ensembling")()).own
    assert "(masked)" in as_row(find("specialists")())["transfer"]
    assert "translator" in as_row(find("factor_transfer")())["transfer"]
    assert not any("task" in t.name for _, _, t in find("zero_shot")().terms())


def test_every_other_method_has_a_row_with_its_fields():
    from limbeck.methods import CATALOGUE

    for name, declare in CATALOGUE.items():
        row = as_row(declare())
        found = list(lessons(declare()))
        assert bool(found) == bool(row["knowledge @ location"]) == bool(row["transfer"]), name
        assert "stored targets" not in row["knowledge @ location"], name
