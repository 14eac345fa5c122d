"""What a role is given of a sample: by hand, scaled, kept through files, and refused where it is augmentation."""

import pytest
import torch

from limbeck import data as D
from limbeck.data.views.seen import RoleInputs, seen_in, shape_seen
from limbeck.deploy.student import load_student
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.face.run import conclude
from limbeck.plan.roles import Adapter, Cast
from limbeck.runs.recipes import make
from limbeck.runs.session import Session
from limbeck.runs.settings import ModelSettings
from limbeck.runs.sources import open_sources
from limbeck.store.identity import identity


def waves(n=60, channels=6, frames=12):
    """Series whose class is told by the channels 4 and 5 alone."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 2
    x = 3 + torch.randn(n, channels, frames, generator=generator)
    x[:, 4:] += 4 * labels[:, None, None]
    return x, labels


def test_bands_and_differences_by_hand():
    x = torch.tensor([[[1.0], [4.0], [9.0]]])
    assert RoleInputs("bands:1:3")(x).tolist() == [[[4.0], [9.0]]]
    assert RoleInputs("differences")(x).tolist() == [[[3.0], [5.0]]]
    assert RoleInputs("differences,bands:1:2", (1.0,), (2.0,))(x).tolist() == [[[2.0]]]
    assert shape_seen("differences", (8, 28, 28)) == (7, 28, 28) and shape_seen("", (3,)) == (3,)


def test_what_is_seen_is_scaled_by_its_own_statistics():
    x, y = waves()
    prepared = seen_in("bands:3:6", D.from_datasets((x, y), validation=0.2))
    inside = D.from_datasets((x, y), validation=0.2)["train"].inputs
    out = prepared(inside)
    torch.testing.assert_close(out.mean((0, 2)), torch.zeros(3), atol=1e-5, rtol=0)  # float32 sums of 576 values
    torch.testing.assert_close(out.std((0, 2), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_a_role_is_built_for_what_it_sees_and_known_by_it():
    data = D.from_datasets(waves(), validation=0.2)
    made = {}
    for sees in ("", "bands:0:4", "bands:2:6"):
        module, adapter = ModelSettings(model="gru", arguments={"width": 4}, sees=sees).build("student", data, 0)
        made[sees] = identity(Cast({"student": module}, {"student": adapter}), "student")
        assert Cast({"student": module}, {"student": adapter}).feed("student", data["train"].inputs[:2]).shape == (2, 2)
    one, other = (Cast({"a": torch.nn.Identity()}, {"a": Adapter(prepare=RoleInputs(s))}) for s in ("bands:0:4", "bands:2:6"))
    assert len(set(made.values())) == 3 and identity(one, "a") != identity(other, "a")  # so stored answers are not mixed up


def test_a_privileged_teacher_and_a_student_that_sees_less_come_back_from_their_files(tmp_path):
    data = D.from_datasets(waves(), validation=0.2, test=waves(20))
    settings = {
        "teacher": {"model": "gru", "arguments": {"width": 4}, "sees": "bands:4:6"},
        "student": {"model": "gru", "arguments": {"width": 2}, "sees": "bands:0:3"},
        "method": {"name": "generalised_distillation"},
        "train": {"epochs": 2},
        "store": {"use": False},
    }
    left = last(Session(open_sources(make(settings), data=data), tmp_path / "run").steps())
    conclude(left)
    back, info = load_student(tmp_path / "run")
    assert info["roles"]["student"]["sees"] == "bands:0:3"
    x = data["test"].inputs
    torch.testing.assert_close(back(x), left.entries["student"](x))
    changed = x.clone()
    changed[:, 3:] = 0
    assert torch.equal(back(changed), back(x))  # the student cannot see the privileged channels


@pytest.mark.parametrize(
    ("spelling", "words"),
    [
        ("flip", "augmentation"),
        ("bands:3:3", "first must be"),
        ("bands:0:9", "have 6 channels"),
        ("band:0:3", "did you mean 'bands'"),
    ],
)
def test_bad_spellings_are_one_sentence(spelling, words):
    with pytest.raises(UserError, match=words) as caught:
        shape_seen(spelling, (6, 5))
    assert "\n" not in str(caught.value)


def test_as_augmentation_it_is_refused():
    with pytest.raises(UserError, match="as student.sees"):
        D.parse("bands:0:3").check((6, 5), "other")
    with pytest.raises(UserError, match="as many stds as means, all positive"):
        RoleInputs("differences", (1.0,), ())
