"""`.gguf`: a language model for llama.cpp and all that is built on it, with its tokenizer; int8 is Q8_0.

The layout is that of the converter of llama.cpp (ggml-org/llama.cpp, convert_hf_to_gguf.py), for the kinds of models in `KINDS`;
of others that converter takes `RUN/student`. Letters: d the width of a row of weights, h heads, V words.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from limbeck.data.tokens import TokenInputs
from limbeck.deploy.formats.format import Format, Opened
from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.files.saved import from_pretrained
from limbeck.files.still import still

KINDS = {"llama": ("llama", True), "mistral": ("llama", True), "qwen2": ("qwen2", False), "qwen3": ("qwen3", False)}
"""Architectures by the type of a configuration: the name in a file, and whether rows of queries and keys are in pairs there."""
BLOCK = 32  # numbers of a row that share a scale in Q8_0
_WORD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS = {_WORD + r"\p{N}" + _REST: "qwen2", _WORD + r"\p{N}{1,3}" + _REST: "llama-bpe"}
"""What llama.cpp calls the rules by which texts are cut before byte pairs are joined."""


class Gguf(Format):
    """One file with weights, tokenizer and chat template."""

    name = "gguf"
    endings = (".gguf",)
    runtime = "llama-cpp-python"
    extra = "gguf"
    int8 = True
    searched = False

    def write(
        self, module: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, object], calibration: Tensor | None
    ) -> int | None:
        write_gguf(module, path, metadata=metadata, int8=calibration is not None)
        return None

    @staticmethod
    def opened(path: str, threads: int, memory: Callable[[], int]) -> Opened:
        """By llama.cpp where its Python package is installed, else by transformers, which reads the same file."""
        import os

        import gguf
        import numpy as np

        fields = gguf.GGUFReader(path).fields
        many, pad = (int(fields["limbeck." + name].parts[-1][0]) for name in ("vocabulary", "pad"))
        try:
            import llama_cpp
        except ImportError:
            llama_cpp = None
        before = memory()
        if llama_cpp is not None:
            kept = llama_cpp.Llama(path, n_ctx=0, n_threads=threads, logits_all=True, verbose=False)
            version = "llama.cpp of llama-cpp-python " + llama_cpp.__version__

            def document(ids: Any) -> Any:
                kept.reset()
                kept.eval(ids)
                return np.array(kept.scores[: len(ids), :many])

        else:
            import torch
            import transformers

            torch.set_num_threads(threads)
            folder, file = os.path.split(os.path.abspath(path))  # noqa: PTH100
            net = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()
            version = "transformers " + transformers.__version__ + ", llama.cpp not installed"

            def document(ids: Any) -> Any:
                with torch.no_grad():
                    return net(input_ids=torch.tensor([ids])).logits[0, :, :many].numpy()

        def answer(x: Any) -> Any:
            out = np.zeros((len(x), x.shape[1], many), np.float32)
            for row, own in zip(np.asarray(x).astype(int), out):  # noqa: B905
                start, numbers = 0, [k or 1 + pad for k in row.tolist()]
                while start < len(numbers):
                    end, side = start, (numbers[start] - 1) // many
                    while end < len(numbers) and (numbers[end] - 1) // many == side:
                        end += 1
                    own[start:end] = document([(k - 1) % many for k in numbers[start:end]])
                    start = end
            return out

        return answer, version, before


def write_gguf(module: nn.Module, path: Path, *, metadata: Mapping[str, object], int8: bool) -> None:
    """Write a language model with its tokenizer; int8: matrices whose rows are multiples of 32 long in Q8_0.

    Raises `UserError` where the module is no such model, its kind or its tokenizer's is not known here.
    """
    try:
        import gguf
    except ImportError as error:
        raise UserError(f'the package gguf is not installed ({error}); run: pip install "limbeck[gguf]"') from None
    model, folder, fed = _model_of(module)
    config = model.config
    if config.model_type not in KINDS:
        raise UserError(
            f"a model of the kind {config.model_type} is not written as GGUF here ({', '.join(KINDS)} are); give its folder "
            f"{folder.name}/ to the converter of llama.cpp"
        )
    kind, pairs = KINDS[config.model_type]
    with still():
        import transformers

        tokenizer = from_pretrained(transformers.AutoTokenizer, str(folder), trust_remote_code=False)
    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / path.name
        writer = gguf.GGUFWriter(made, kind)
        _sizes(writer, config)
        _tokens(writer, tokenizer, config.vocab_size)
        writer.add_uint32("limbeck.vocabulary", fed.vocabulary)
        writer.add_uint32("limbeck.pad", fed.pad)
        writer.add_string("limbeck.facts", json.dumps(dict(metadata), default=str))
        q8 = gguf.GGMLQuantizationType.Q8_0
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if int8 else gguf.LlamaFileType.ALL_F32)
        for name, value in _tensors(gguf, model, kind, pairs):
            if int8 and value.ndim == 2 and value.shape[1] % BLOCK == 0:
                writer.add_tensor(name, gguf.quants.quantize(value, q8), raw_dtype=q8)
            else:
                writer.add_tensor(name, value)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with atomic_write(path) as out, made.open("rb") as written:
            shutil.copyfileobj(written, out)


def _model_of(module: nn.Module) -> tuple[Any, Path, TokenInputs]:
    """The model of transformers that a student is alone, its folder with the tokenizer, and how it is fed."""
    role = module.source.role if isinstance(module, Deployed) and hasattr(module.source, "role") else ""
    prepare = module.cast.adapter_of(role).prepare if isinstance(module, Deployed) and role in module.cast else None
    home = getattr(module, "home", None)
    folder = None if home is None else home / "student"
    if not isinstance(prepare, TokenInputs) or folder is None or not (folder / "tokenizer.json").is_file():
        raise UserError("only language models of transformers are written as GGUF; export this student to onnx")
    assert isinstance(module, Deployed)
    return module.cast[role], folder, prepare


def _sizes(writer: Any, config: Any) -> None:
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    theta = getattr(config, "rope_theta", None) or (getattr(config, "rope_parameters", None) or {}).get("rope_theta", 10_000.0)
    scaled = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if scaled != "default":
        raise UserError(f"positions are scaled ({scaled}), which is not written as GGUF here; use the converter of llama.cpp")
    writer.add_name("student")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(getattr(config, "num_key_value_heads", None) or heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(float(theta))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _tokens(writer: Any, tokenizer: Any, many: int) -> None:
    """The vocabulary, filled up to the model's, with the pairs that are joined and the template."""
    import gguf

    written = json.loads(tokenizer.backend_tokenizer.to_str())
    known = {k: text for text, k in tokenizer.get_vocab().items()}
    added = {int(k): token for k, token in tokenizer.added_tokens_decoder.items()}
    texts = [known.get(k, f"[PAD{k}]") for k in range(many)]
    kinds = gguf.TokenType
    types = [
        kinds.UNUSED
        if k not in known
        else kinds.NORMAL
        if k not in added
        else kinds.CONTROL
        if added[k].special
        else kinds.USER_DEFINED
        for k in range(many)
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut_by(written))
    writer.add_token_list(texts)
    writer.add_token_types(types)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in written["model"]["merges"]])
    for token, add in ((tokenizer.bos_token_id, writer.add_bos_token_id), (tokenizer.eos_token_id, writer.add_eos_token_id)):
        if token is not None:
            add(int(token))
    first = tokenizer("a", verbose=False)["input_ids"][:1]
    writer.add_add_bos_token(tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id])
    if isinstance(getattr(tokenizer, "chat_template", None), str):
        writer.add_chat_template(tokenizer.chat_template)


def cut_by(written: Mapping[str, Any]) -> str:
    """What llama.cpp calls the rules by which a byte-level tokenizer cuts texts; written: its tokenizer.json.

    Raises `UserError` for other rules, with which llama.cpp would number texts otherwise.

    >>> cut_by({"model": {"type": "BPE"}, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}})
    'gpt-2'
    """
    cuts = written.get("pre_tokenizer") or {}
    steps = [step for step in cuts.get("pretokenizers", [cuts]) if step]
    plain = written["model"]["type"] == "BPE" and not written.get("normalizer") and bool(steps)
    if plain and steps[-1].get("type") == "ByteLevel" and not steps[-1].get("add_prefix_space"):
        by_itself = steps[-1].get("use_regex", True)
        if len(steps) == 1 and by_itself:
            return "gpt-2"
        if len(steps) == 2 and steps[0] == {"type": "Digits", "individual_digits": True} and by_itself:
            return "smollm"
        pattern = steps[0].get("pattern", {}).get("Regex", "") if len(steps) == 2 and not by_itself else ""
        if pattern in SPLITS:
            return SPLITS[pattern]
    raise UserError(
        "the tokenizer cuts texts by rules that are not known here, so llama.cpp would number them otherwise; give the folder "
        "student/ to the converter of llama.cpp"
    )


def _tensors(gguf: Any, model: Any, kind: str, pairs: bool) -> Iterator[tuple[str, np.ndarray]]:
    """The weights by their names in the file, float32; what is tied is there once."""
    config = model.config
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == kind)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    seen: set[int] = set()
    for key, value in model.state_dict().items():
        if value.data_ptr() in seen and value.numel():
            continue
        seen.add(value.data_ptr())
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise UserError(
                f"the model has weights that GGUF has no place for ({key}); give student/ to the converter of llama.cpp"
            )
        found = value.detach().float().cpu().numpy()
        if pairs and (".q_proj." in key or ".k_proj." in key):
            heads = config.num_attention_heads if ".q_proj." in key else config.num_key_value_heads
            found = _in_pairs(found, heads)
        yield name, np.ascontiguousarray(found)


def _in_pairs(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys (h 2 k, d) with the two halves of each head's taken in turns, as llama.cpp turns positions.

    >>> _in_pairs(np.arange(4.0)[:, None], 1)[:, 0].tolist()
    [0.0, 2.0, 1.0, 3.0]
    """
    return rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
