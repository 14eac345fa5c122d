"""Calls that must not pass a type checker; behind each the error that is expected, and no other may come."""

from pathlib import Path

from torch import nn

import limbeck
from limbeck import Method, losses, methods


def wrong_calls(net: nn.Module) -> None:
    limbeck.distill(1, 2, 3, bananas=4)  # E: arg-type arg-type arg-type arg-type
    limbeck.distill(net, net, "digits")  # E: arg-type
    limbeck.train(net, learning_rate=0.1, data=(1, 2))  # E: arg-type arg-type
    limbeck.distill(net, net, (net, net), epochs="five")  # E: arg-type arg-type
    limbeck.distill(net, net)  # E: call-arg
    limbeck.distil(net, net)  # E: attr-defined
    limbeck.load(3)  # E: arg-type
    limbeck.compare("kd", seeds="three", on="the moon")  # E: arg-type arg-type
    limbeck.Train(optimiser="adam")  # E: call-arg
    limbeck.export(Path("run"), int8="yes")  # E: arg-type


def wrong_methods() -> Method:
    methods.kd(temprature=2.0)  # E: call-arg
    methods.kd(temperature="hot")  # E: arg-type
    methods.nothing()  # E: attr-defined
    losses.kl(1.0, 2.0)  # E: arg-type arg-type
    return methods.kd  # E: return-value


@limbeck.method(paper="A Title", year=2030)
def own(weight: float = 1.0) -> Method:
    return methods.kd(alpha=weight)


def wrong_use() -> str:
    own(weight="heavy")  # E: arg-type
    made: int = own(2.0)  # E: assignment
    print(made)
    return limbeck.describe(own)  # E: arg-type


def wrong_listener(net: nn.Module, samples: limbeck.Data) -> None:
    def on_event(kind: str, facts: dict[str, float]) -> None:
        print(kind, facts)

    limbeck.distill(net, net, samples, listen=on_event)  # E: arg-type
    score: str = limbeck.distill(net, net, samples).card["models"]["student"]["score"]  # E: assignment
    print(score)


def wrong_results() -> None:
    board = limbeck.compare("kd")
    mean: float = board["rows"][0]["score"]["mean"]  # E: assignment
    name: int = board["rows"][0]["name"]  # E: assignment
    board["rowes"]  # E: typeddict-item
    shrunk = limbeck.shrink(max_size=1000)
    words: str = shrunk["verdict"]["words"]  # E: assignment
    found = limbeck.explain("run")
    sentences: str = found["verdict"]  # E: assignment
    found["gain"]["parts"]  # E: typeddict-item
    print(mean, name, words, sentences)
