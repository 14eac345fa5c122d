"""What a method deploys, as one ordinary module, and its two files: weights, and how to rebuild it."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck import methods, models
from limbeck.data.text import Words
from limbeck.data.tokens import TokenInputs
from limbeck.data.views.seen import RoleInputs, Whole, shape_seen
from limbeck.deploy.student_file import FILE, RoleFile, StudentFile, inside, read_student_file, write_student_file
from limbeck.engine.check import build_parts
from limbeck.errors import UserError
from limbeck.models import encoders, load_weights, save_weights
from limbeck.models.pretrained import Ordered, from_config, head_for
from limbeck.models.trust import Named, need_trust
from limbeck.plan import Method
from limbeck.plan.copies import flags_kept
from limbeck.plan.kinds import Value
from limbeck.plan.observe import observe
from limbeck.plan.roles import Adapter, Cast, Normalise, role_of
from limbeck.plan.taps import Source, State, Tap, leaves, modules_of, replaced
from limbeck.tasks.registry import task_of
from limbeck.tasks.task import Task


class Deployed(nn.Module):
    """A source over a cast as a module from inputs to logits: a role, an exit, or an ensemble.

    Preprocessing of each role is inside, so that the module takes what the data gives (images on 0..1).
    """

    home: Path | None = None  # the folder that it was loaded from

    def __init__(self, cast: Cast, source: Source):
        super().__init__()
        self.source = answered(source, cast)
        names = used(source)
        self.cast = Cast({name: cast[name] for name in names}, {n: a for n, a in cast.adapters.items() if n in names})

    @property
    def fed(self) -> str:
        """What of a batch it takes."""
        return self.source.on if isinstance(self.source, Tap) else "inputs"

    def forward(self, inputs: Value) -> Tensor:
        if isinstance(self.source, Tap) and not self.source.path:
            role = self.source.role
            return self.cast.adapter_of(role).find_logits(self.cast.feed(role, inputs), role)
        return observe(self.cast, {"inputs": inputs}, [self.source], learns=tuple(self.cast.keys()))(self.source)

    def parameter_count(self, inputs: Value) -> int:
        """Parameters that the answer depends on: an early exit does not carry the layers behind it. Where no gradient shows
        which these are (an answer computed outside of PyTorch, an operation without a backward), all count."""
        every = list(self.parameters())
        wanted = [p for p in every if p.is_floating_point() or p.is_complex()]
        with flags_kept([self]), torch.enable_grad():
            for parameter in wanted:
                parameter.requires_grad_(True)
            try:
                found = torch.autograd.grad(self(inputs).sum(), wanted, allow_unused=True)
            except RuntimeError:
                return sum(p.numel() for p in every)
        return sum(p.numel() for p, g in zip(wanted, found, strict=True) if g is not None)


def answered(source: Source, cast: Cast) -> Source:
    """The same source with every role's answer to what it is fed."""
    whole = (leaf for leaf in leaves(source) if isinstance(leaf, Tap) and not leaf.path and leaf.role in cast)
    return replaced(source, {leaf: replace(leaf, on=cast.fed(leaf.role)) for leaf in whole if leaf.on == "inputs"})


def used(source: Source) -> list[str]:
    """The roles and parts that a source needs."""
    named = [leaf.role for leaf in leaves(source) if isinstance(leaf, Tap | State)]
    return list(dict.fromkeys([*named, *(role_of(name) for name in modules_of(source))]))


def save_student(folder: Path, deployed: Deployed, info: StudentFile) -> None:
    """Write `student.safetensors` and `student.json`."""
    save_weights(deployed.cast, folder / "student.safetensors")
    write_student_file(folder, info)


def load_student(folder: Path, trust: bool = False, typed: Collection[str] = ()) -> tuple[Deployed, StudentFile]:
    """Rebuild a saved student from its folder. trust: let models that it names run their code; without it,
    only those that the user typed run.

    Raises `UserError` if a file is missing or damaged, or the student's class cannot be rebuilt by name.
    """
    info = read_student_file(folder)
    need_trust(named(info), folder / FILE, trust, typed)
    return filled(info, folder), info


def filled(info: StudentFile, folder: Path) -> Deployed:
    """What `student.json` describes, with its weights, whatever it names."""
    deployed = rebuild(info, folder)
    deployed.home = folder
    load_weights(deployed.cast, folder / "student.safetensors")
    return deployed.eval()


def named(info: StudentFile) -> list[Named]:
    """The models that `student.json` names; of one with a folder, only its configuration there is used, which runs no code."""
    return [Named(role, spec["model"], spec["arguments"]) for role, spec in info["roles"].items() if "folder" not in spec]


def rebuild(info: StudentFile, folder: Path) -> Deployed:
    """What the `student.json` of a folder describes, with weights still to come."""
    cast = Cast({})
    for name, spec in info["roles"].items():
        task = task_of(info["task"]["name"], info["task"]["settings"])
        if spec.get("folder"):
            place = inside(folder, spec["folder"])
            if task.headless:
                module = encoders.from_config(place, image=info["kind"] == "image")
            else:
                module = from_config(place, head_for(info["kind"], info["task"]["name"]))
            adapter = Adapter(logits=task.finder(task.outputs(len(info["classes"])), tuple(info["shape"])))
        else:
            module, adapter = _rebuild_role(name, spec, task.outputs(len(info["classes"])), tuple(info["shape"]), task)
        cast.add(name, module, _fed(spec, info, adapter))
    method: Method = methods.make(info["method"]["name"], info["method"]["arguments"])
    _rebuild_parts(method, cast, used(method.deployed), tuple(info["shape"]))
    for stage in method.stages:
        for action in (a for a in stage.before if getattr(a, "reshapes", False) and a.role in cast):
            action(cast, stage.start())
    return Deployed(cast, method.deployed)


def _fed(spec: RoleFile, info: StudentFile, adapter: Adapter) -> Adapter:
    """The adapter with what texts go through first, and with logits in the order of the data's classes."""
    tokens = info.get("tokens")
    if tokens is not None and "tokens" in spec:
        adapter = replace(adapter, prepare=TokenInputs(tokens["vocabulary"], tokens["pad"], spec["tokens"]))
    if "folder" in spec and spec["mean"]:
        adapter = replace(adapter, prepare=Normalise(tuple(spec["mean"]), tuple(spec["std"])))
    if "order" not in spec:
        return adapter
    inner = adapter.logits if callable(adapter.logits) else None
    return replace(adapter, logits=Ordered(spec["order"], inner))


def _rebuild_role(role: str, spec: RoleFile, classes: int, shape: tuple[int, ...], task: Task) -> tuple[nn.Module, Adapter]:
    """A role from what `student.json` says of it; weights are loaded later."""
    if spec["model"].startswith("python object"):
        raise UserError(
            f"role {role!r} was given as a {spec['model']}, which cannot be rebuilt by name; "
            "load student.safetensors into your own module, or name a factory as package.module:factory"
        )
    sees, mean, std = spec.get("sees", ""), tuple(spec["mean"]), tuple(spec["std"])
    classes = spec.get("classes", classes)
    make = encoders.build if task.headless else partial(models.build, classes=classes)
    module = make(spec["model"], shape=shape_seen(sees, shape), arguments=spec["arguments"])
    prepare: nn.Module | None = RoleInputs(sees, mean, std) if sees else Normalise(mean, std) if mean else None
    prepare = Words() if spec.get("words") else Whole() if spec.get("whole") else prepare
    return module, Adapter(prepare=prepare, logits=task.finder(classes, shape))


def _rebuild_parts(method: Method, cast: Cast, wanted: Iterable[str], shape: tuple[int, ...]) -> None:
    parts = {name: part for name, part in method.parts.items() if name in set(wanted)}
    if parts:
        cast.eval()
        build_parts(method.but(parts=parts), cast, {"inputs": torch.zeros(2, *shape)})
