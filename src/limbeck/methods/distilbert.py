"""A text model of half the layers that starts as every second layer of its teacher."""

from limbeck import losses
from limbeck.methods._terms import soft, task
from limbeck.models.inherit import Inherit
from limbeck.plan import Method, Stage, Term, Update, method
from limbeck.plan.taps import Field, Tap
from limbeck.transforms.combine import token_rows
from limbeck.transforms.masks import tokens


@method(
    paper="Sanh et al. 2019, DistilBERT, a Distilled Version of BERT, arXiv 1910.01108 (its three losses, on a labelled task)",
    year=2019,
    serves=("text",),
)
def distilbert(
    layers: tuple[tuple[int, int], ...] = ((0, 0), (1, 2)),
    temperature: float = 2.0,
    soft_weight: float = 5.0,
    task_weight: float = 2.0,
    cosine_weight: float = 1.0,
    last: int = 3,
    body: str = "bert",
    start: bool = True,
) -> Method:
    """Layers are copied from the teacher; then soft labels, the task, and the direction of the last hidden states.

    L = 5 T^2 KL(p_teacher^T || p^T) + 2 L_task + 1 mean_words (1 - cos(h, h_teacher))

    In the paper the task is to fill in masked words of a large text; here it is the one with labels. Teacher and student
    are transformers models of equal width (`transformers:bert`), so that hidden states compare as they are.

    Use it when teacher and student are transformers text models of the same family and width, the student with half of the layers
    or so, copied from the teacher. For other widths take `tinybert`, which learns the maps in between.

    Args:
        layers: (student's, teacher's) numbers from 0, of which the first starts with the weights of the second.
        temperature: 2. soft_weight, task_weight, cosine_weight: 5, 2 and 1 as in the authors' script (recalled).
        last: the teacher's last layer. body: where the encoder is in both. start: False does not copy weights.
    """
    hidden = [Tap(role, f"{body}.encoder.layer.{k}") for role, k in (("student", len(layers) - 1), ("teacher", last))]
    alike = Term(
        "hidden",
        losses.cosine,
        weight=cosine_weight,
        mask=Field("inputs").via(tokens),
        student=hidden[0].via(token_rows),
        teacher=hidden[1].detach().via(token_rows),
    )
    terms = (soft(temperature=temperature, weight=soft_weight), task(weight=task_weight), alike)
    same = (f"{body}.embeddings", f"{body}.pooler", "classifier")
    pairs = tuple((path, path) for path in same)
    pairs += tuple((f"{body}.encoder.layer.{mine}", f"{body}.encoder.layer.{theirs}") for mine, theirs in layers)
    before = (Inherit("student", "teacher", pairs),) if start else ()
    return Method((Stage("distil", (Update(("student",), terms),), before=before),))
