"""A thing carries its facts: they are read through partials, and one that is missing or misspelt is an error at import."""

from functools import partial

import pytest
import torch

from limbeck import connectors, losses, transforms
from limbeck.errors import UserError
from limbeck.losses import loss, traits_of
from limbeck.transforms.facts import Facts, facts_of, transform


def gap(student, teacher):
    return (student - teacher).abs()


def test_a_loss_without_a_family_is_an_error_where_it_is_defined():
    with pytest.raises(TypeError, match="family"):
        loss(knowledge=None, over="values")(gap)
    with pytest.raises(TypeError, match="over"):
        loss(family="absolute", knowledge=None)(gap)
    with pytest.raises(TypeError, match="knowledge"):
        loss(family="absolute", over="values")(gap)


def test_a_misspelt_fact_is_an_error_with_the_closest_word():
    with pytest.raises(UserError, match="unknown family of losses 'sqares'; did you mean 'squares'"):
        loss(family="sqares", knowledge=None, over="values")(gap)
    with pytest.raises(UserError, match="did you mean 'classes'"):
        loss(family="absolute", knowledge=None, over="class")(gap)
    with pytest.raises(UserError, match="unknown knowledge 'atention maps'; did you mean 'attention maps'"):
        transform(knowledge="atention maps")


def test_what_states_nothing_has_no_facts_of_its_own():
    assert facts_of(torch.sigmoid) == facts_of(gap) == Facts()
    assert traits_of(gap) is None


def test_facts_are_read_through_partials_and_from_classes():
    assert facts_of(partial(partial(transforms.probabilities, temperature=2.0))).knowledge == "soft labels"
    assert facts_of(partial(connectors.Tail, ratio=2.0)).answers
    assert facts_of(partial(connectors.Paraphraser, rate=0.5)).knowledge == "factors"
    assert facts_of(partial(losses.similarity_preserving)).batchwise


def test_classes_are_said_to_be_classes_and_values_values():
    """`over` decides which methods fit a task without classes: the borderline cases, each with its reason."""
    over = {fn.__name__: traits_of(fn).over for fn in losses.CATALOGUE}
    assert over["logit_mse"] == over["mse"] == over["one_minus_pearson"] == "values"  # no softmax, any numbers
    assert over["uld"] == over["class_gram"] == over["probability_mse"] == "classes"  # a softmax inside
    assert over["norm_direction"] == over["nkd"] == "classes"  # class numbers choose a centre, a probability
    assert over["cwd"] == over["pkt"] == "values"  # their softmax is over places, over samples
