"""Low-rank adapters beside a network's linear layers (Hu et al. 2022, LoRA, https://arxiv.org/abs/2106.09685), by peft.

Letters: r the rank; a layer W (o, i) becomes W + 2 B A, A (r, i) and B (o, r), of which only A and B are trained.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from limbeck import processes
from limbeck.errors import UserError, reason
from limbeck.plan.roles import Cast

FOLDER = "adapter"  # of a run, where the adapters alone lie


def adapted(module: nn.Module, rank: int, who: str) -> nn.Module:
    """The same module with an adapter at every linear layer but its head, all else frozen; alpha is 2 r, A is drawn, B is 0.

    Raises `UserError` where peft is not installed or finds no layers.
    """
    peft = _peft()
    try:
        config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", bias="none")
        peft.inject_adapter_in_model(config, module)
    except Exception as error:  # peft raises many kinds
        raise UserError(f"{who} cannot be given adapters ({reason(error)[:120]}); leave student.lora out") from error
    return module


def adapters_of(module: nn.Module) -> list[tuple[str, Any]]:
    """The layers with adapters, by path."""
    return [(path, part) for path, part in module.named_modules() if hasattr(part, "lora_A") and hasattr(part, "merge")]


def counted(module: nn.Module) -> tuple[int, int]:
    """Parameters that are trained, and all."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad), sum(p.numel() for p in module.parameters())


def merged(module: nn.Module, folder: Path | None = None) -> bool:
    """Add the adapters to the layers that they stand beside, which become plain ones again; False where there are none.

    folder: first write the adapters there, as peft reads them (adapter_config.json, adapter_model.safetensors).
    """
    found = adapters_of(module)
    if not found:
        return False
    if folder is not None:
        _save(module, folder)
    with torch.no_grad():
        for path, part in found:
            part.merge()
            above, _, name = path.rpartition(".")
            setattr(module.get_submodule(above), name, part.get_base_layer())
    vars(module).pop("peft_config", None)
    module.requires_grad_(True)
    return True


def settled(cast: Cast, folder: Path, who: str) -> list[str]:
    """A student that was trained, its adapters merged; `who` of the phases it is. The student's own are kept in `folder`/adapter
    too, and a sentence says how much was trained."""
    if "student" not in cast or not adapters_of(cast["student"]):
        return []
    module = cast["student"]
    trained, every = counted(module)
    own = who == "student" and processes.first()
    merged(module, folder / FOLDER if own else None)
    if who != "student":
        return []
    return [f"student: {trained:,} of {every:,} parameters were trained, as adapters (LoRA), which {FOLDER}/ has alone"]


def _save(module: nn.Module, folder: Path) -> None:
    from safetensors.torch import save_file

    peft = _peft()
    (config,) = module.peft_config.values()  # type: ignore[operator, union-attr]
    folder.mkdir(parents=True, exist_ok=True)
    state = peft.get_peft_model_state_dict(module, adapter_name="default")
    own = {f"base_model.model.{key}": value.detach().cpu().contiguous() for key, value in state.items()}
    save_file(own, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(str(folder))


def _peft() -> Any:
    try:
        import peft
    except ModuleNotFoundError as error:
        if error.name != "peft":
            raise
        raise UserError('peft is not installed; run: pip install "limbeck[lora]"') from error
    return peft
