"""The rows of survey A that are declared here: each is placed where the survey has it, trains on digits, moves only
what it says, resumes to the same bits and gives a student that is rebuilt from its files."""

import pytest
import torch
from digits import DIGITS, WIDTH, make_cast, states, train

from limbeck.catalogue.taxonomy import taxonomy
from limbeck.deploy.student import Deployed, load_student, save_student, used
from limbeck.methods import find

SOFT, OTHER = "soft labels", "other parts"
ROWS = {  # method: (row, knowledge, scheme) as in surveys.md, section 1
    "quantised_distillation": (4, SOFT, "offline"),
    "differentiable_quantisation": (4, SOFT, "offline"),
    "one": (10, SOFT, "online"),
    "gradual": (11, SOFT, "online"),
    "rco": (12, SOFT, "online"),
    "okddip": (13, SOFT, "online"),
    "okddip_code": (13, SOFT, "online"),
    "kdcl_naive": (14, SOFT, "online"),
    "kdcl_linear": (14, SOFT, "online"),
    "kdcl_minlogit": (14, SOFT, "online"),
    "kdcl_general": (14, SOFT, "online"),
    "stage_by_stage": (17, OTHER, "offline"),
    "activation_boundary": (20, OTHER, "offline"),
    "lsl": (21, OTHER, "offline"),
    "irg": (22, OTHER, "offline"),
    "rocket": (23, OTHER, "online"),
    "ffl": (25, OTHER, "online"),
    "ladder": (26, OTHER, "online"),
    "afd": (27, OTHER, "online"),
}
SETTINGS = [(name, {}) for name in ROWS] + [
    ("one", {"ensemble": True}),
    ("ffl", {"fused": True}),
    ("afd", {"peers": ("student", "peer", "third")}),
    ("kdcl_general", {"peers": ("student", "peer", "third")}),
    ("activation_boundary", {"at": ("layer1.0.2", "layer2.0.2", "layer3.0.2"), "before": True, "soft_labels": 1.0}),
    ("gradual", {"scale": True}),
]
every = pytest.mark.parametrize(("name", "arguments"), SETTINGS, ids=lambda x: x if isinstance(x, str) else "-".join(x))


@pytest.mark.parametrize("name", ROWS)
def test_it_is_placed_where_the_survey_has_it(name):
    place = taxonomy(find(name)())
    assert (place.knowledge, place.scheme) == ROWS[name][1:]


@pytest.mark.parametrize(
    ("name", "knowledge", "scheme"),
    [
        ("born_again", SOFT, "offline"),
        ("soft_tree", SOFT, "offline"),
        ("zero_shot", SOFT, "offline"),
        ("teachers_switch", SOFT, "offline"),
        ("fsp", OTHER, "offline"),
        ("own_teacher", OTHER, "online"),
    ],
)
def test_rows_declared_before_stay_where_they_were(name, knowledge, scheme):
    place = taxonomy(find(name)())
    assert (place.knowledge, place.scheme) == (knowledge, scheme)


def test_what_is_deployed():
    assert taxonomy(find("one")()).deploys == "student"
    assert taxonomy(find("one")(ensemble=True)).deploys == "several branches of student"
    assert taxonomy(find("ladder")()).deploys == "a branch of student"
    assert taxonomy(find("ffl")(fused=True)).deploys == "the ensemble of student, peer"


@every
def test_each_stage_moves_what_it_trains_and_nothing_else(name, arguments):
    method = find(name)(**arguments)
    before = None
    for k, stage in enumerate(method.stages, start=1):
        cast, _ = train(method.but(stages=method.stages[:k]))  # the same bits up to the last of these stages
        after = states(cast)
        if before is None:
            fresh = make_cast(method)
            before = {key: value for key, value in states(fresh).items() if key in after}
        made = {action.role for action in (*stage.before, *stage.after_step)}
        mine = {f"{path.split('.')[0].split(':')[0]}." for path in stage.trains}
        allowed = {id(x) for path in stage.trains for m in cast.members(path) for x in (*m.parameters(), *m.buffers())}
        here = dict(cast.state_dict(keep_vars=True))
        moved = {key for key, value in before.items() if key in after and not torch.equal(value, after[key])}
        assert not {key for key in moved if id(here[key]) not in allowed and key.split(".")[0] not in made}, name
        assert all(any(key.startswith(role) for key in after) for role in mine)
        for path in stage.trains:
            ids = {id(x) for m in cast.members(path) for x in m.parameters()}
            known = {key for key in before if key in here and id(here[key]) in ids}
            assert not known or known & moved, f"{name}: {path} stayed"
        before = after


class Stop(Exception):  # noqa: N818
    pass


@every
def test_a_broken_run_goes_on_to_the_same_bits(name, arguments, tmp_path):
    method = find(name)(**arguments)
    whole, trained = train(method)

    def stop(kind, facts):
        if kind == "step" and facts["done"] == 8:
            raise Stop

    with pytest.raises(Stop):
        train(method, folder=tmp_path, listen=stop)
    resumed, again = train(method, folder=tmp_path)
    assert again.steps == trained.steps
    assert states(whole).keys() == states(resumed).keys()
    for key, value in states(whole).items():
        assert torch.equal(value, states(resumed)[key]), key


@every
def test_its_student_is_rebuilt_from_its_files(name, arguments, tmp_path):
    method = find(name)(**arguments)
    cast, _ = train(method, steps=6)
    deployed = Deployed(cast, method.deployed).eval()
    roles = [role for role in used(method.deployed) if role not in method.parts]
    spec = {"model": "cnn", "arguments": {"width": WIDTH}, "mean": list(DIGITS.mean), "std": list(DIGITS.std)}
    info = {
        "method": {"name": name, "arguments": {k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items()}},
        "roles": dict.fromkeys(roles, spec),
        "classes": list(DIGITS.classes),
        "shape": list(DIGITS.shape),
        "kind": DIGITS.kind,
        "task": {"name": "classify", "settings": {}},
        **{"version": 1, "limbeck": "0", "inputs": "pixels", "outputs": "logits", "data": "digits"},
    }
    save_student(tmp_path, deployed, info)
    again, _ = load_student(tmp_path)
    images = DIGITS["test"].inputs[:16].float()
    images = images / images.max()
    with torch.no_grad():
        assert torch.equal(deployed(images), again(images))
    assert deployed.parameter_count(images) > 0
