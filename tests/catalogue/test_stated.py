"""What a method's author states where it is defined: needs and a place in the taxonomy; and words of one's own."""

from dataclasses import dataclass, replace

import pytest

import limbeck
from limbeck import losses
from limbeck.catalogue.purposes import PURPOSES, by_need
from limbeck.catalogue.taxonomy import computed, taxonomy
from limbeck.errors import UserError
from limbeck.plan import Tap, Term, method, single_stage
from limbeck.plan.actions import Promote, action_words
from limbeck.plan.schedules import linear, weight_text, weight_words


def soft(weight=1.0):
    by = Term("soft", losses.kl, weight=weight, student=Tap("student"), teacher=Tap("teacher").detach())
    return single_stage(by)


def test_a_stated_need_is_served_and_a_misspelt_one_is_an_error_at_import():
    stated = method(paper="nobody", year=2030, serves=("segmentation", "private data"))(soft)()
    needs = by_need([stated])
    assert needs["Segmentation"] == ["soft"] and needs["Private data, or data that cannot be stored"] == ["soft"]
    assert needs["Detection"] == []
    with pytest.raises(UserError, match="unknown need 'segmentaton'; did you mean 'segmentation'"):
        method(paper="nobody", year=2030, serves=("segmentaton",))


def test_every_need_that_can_be_stated_has_a_heading():
    from typing import get_args

    from limbeck.plan.needs import Need

    for need in get_args(Need):
        made = method(paper="nobody", year=2030, serves=(need,))(soft)()
        assert any(made.name in names for names in by_need([made]).values()), need
    assert len(PURPOSES) == 27


def test_a_stated_taxonomy_replaces_what_is_computed_and_says_so():
    plain = method(paper="nobody", year=2030)(soft)()
    stated = method(paper="nobody", year=2030, taxonomy={"scheme": "online", "own": True})(soft)()
    assert computed(stated) == taxonomy(plain)
    assert taxonomy(stated).scheme == "online" and taxonomy(stated).own and taxonomy(stated).ratio == "1-1"
    assert str(taxonomy(stated)) == "soft labels; online, self; 1-1; deploys student (scheme, own: stated by the author)"
    assert "stated by the author" in limbeck.describe(stated) and "stated" not in limbeck.describe(plain)
    with pytest.raises(UserError, match="unknown part of the taxonomy 'schema'; did you mean 'scheme'"):
        method(paper="nobody", year=2030, taxonomy={"schema": "online"})


def test_a_head_is_one_because_the_declaration_says_so_not_by_its_name():
    """A tap inside a teacher is its answer when it goes through the teacher's own classifier."""

    def through(path, **how):
        inside = Tap("teacher", "pool").detach().via(path, **how)
        return single_stage(Term("soft", losses.kl, student=Tap("student"), teacher=inside))

    assert taxonomy(through("teacher.linear", answers=True)).knowledge == "soft labels"
    assert taxonomy(through("teacher.scores", answers=True)).knowledge == "soft labels"
    assert taxonomy(through("teacher.linear")).knowledge == "other parts"


def halves(progress):
    return 0.5


@dataclass(frozen=True)
class Halving:
    start: float

    def __call__(self, progress):
        return self.start / 2

    def words(self):
        return f"half of {self.start:g}"


@dataclass(frozen=True)
class Tidy:
    role: str

    def __call__(self, cast, now):
        pass


def tidy(cast, now):
    pass


def started_by(action):
    made = soft()
    return made.but(stages=tuple(replace(stage, before=(action,)) for stage in made.stages))


def test_schedules_and_actions_of_ones_own_print_sensibly():
    assert (weight_text(halves), weight_words(halves)) == ("halves", "halves")
    assert (weight_text(Halving(4.0)), weight_words(Halving(4.0))) == ("Halving(start=4.0)", "half of 4")
    assert weight_words(linear(0.0, 1.0, over=0.5)) == "0 to 1 by 50 %"
    assert action_words(Tidy("teacher")) == "Tidy(role='teacher')"
    assert action_words(tidy) == "tidy" and "tidy" in limbeck.describe(started_by(tidy))
    assert action_words(Promote("teacher", "student")) == "teacher becomes a frozen copy of student"
    assert "halves x kl" in limbeck.describe(soft(weight=halves))
