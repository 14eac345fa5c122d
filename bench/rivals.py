"""Public packages on the same work, in their own unmodified loops: torchdistill and KD-Lib.

They import torchvision, whose compiled operators do not load beside a CPU build of PyTorch from the registry;
its shape functions for them are skipped here, in this benchmark only (no operator of it is used).
"""

import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Loop = Callable[[int], list[float]]


def import_torchvision() -> None:
    """Import torchvision without its compiled operators, where they do not load."""
    kept = torch.library.register_fake
    torch.library.register_fake = lambda *_args, **_more: lambda fn: fn  # type: ignore[assignment]
    try:
        import torchvision  # type: ignore[import-not-found,import-untyped]  # noqa: F401
    finally:
        torch.library.register_fake = kept


def torchdistill_kd(teacher: torch.nn.Module, student: torch.nn.Module, ticking: Any, batch: int) -> Loop:
    """torchdistill's DistillationBox with its KDLoss; the teacher is put into evaluation mode by hand, as it must be."""
    import_torchvision()
    from torchdistill.core.distillation import DistillationBox  # type: ignore[import-not-found]

    loader = ticking(lambda x, y: (x, y, {}))
    logits = {f"{who}_module_path": "linear" for who in ("student", "teacher")}
    logits |= {f"{who}_module_io": "output" for who in ("student", "teacher")}
    loss = {"key": "KDLoss", "kwargs": {**logits, "temperature": 4.0, "alpha": 0.1}}
    hook = {"forward_proc": "forward_batch_only", "sequential": [], "forward_hook": {"input": [], "output": ["linear"]}}
    config = {
        "num_epochs": 10**6,
        "teacher": {**hook, "requires_grad": False},
        "student": dict(hook),
        "optimizer": {"key": "SGD", "kwargs": {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4}},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"kd": {"criterion": loss, "weight": 1.0}}}},
    }
    box = DistillationBox(teacher.eval(), student, {}, config, torch.device("cpu"), None, False, 1)
    box.train_data_loader = loader
    student.train()

    def run(steps: int) -> list[float]:
        loader.steps = steps
        for sample, targets, more in loader:
            value = box.forward_process(sample, targets, more)
            box.post_forward_process(value)
            value.item()
        return loader.times()

    return run


def kd_lib(teacher: torch.nn.Module, student: torch.nn.Module, ticking: Any) -> Loop:
    """KD-Lib's VanillaKD; names that its other parts import, and newer packages lack, are put there first."""
    import_torchvision()
    text = types.ModuleType("KD_Lib.KD.text")  # its text part needs packages that no longer install
    text.BERT2LSTM = text.get_essentials = None  # type: ignore[attr-defined]
    sys.modules[text.__name__] = text
    for name in ("matplotlib", "matplotlib.pyplot"):
        try:
            __import__(name)
        except ImportError:
            sys.modules[name] = types.ModuleType(name)
    from KD_Lib.KD import VanillaKD  # type: ignore[import-not-found]

    loader = ticking()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    folder = tempfile.mkdtemp()
    box = VanillaKD(teacher, student, loader, [], optimizer, optimizer, temp=4.0, distil_weight=0.9, logdir=folder)
    box._evaluate_model = lambda *args, **more: ([], 0.0)  # its evaluation after an epoch is not part of a step

    def run(steps: int) -> list[float]:
        loader.steps = steps
        student.train()
        box.train_student(epochs=1, plot_losses=False, save_model=False, save_model_pth=str(Path(folder) / "s.pt"))
        return loader.times()

    return run
