"""Without labels: near to what the teacher is near to, as a whole and in each place."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Linear, Queue
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Tap
from limbeck.transforms.combine import as_places, beside


@method(
    paper="LightlyTrain 2026, distillation v3, https://docs.lightly.ai/train; code lightly-ai/lightly-train distillationv3",
    year=2026,
    serves=("unlabelled",),
)
def global_local(
    at: str = "",
    teacher_at: str = "",
    local: str = "layer3",
    teacher_local: str = "",
    size: int = 4096,
    temperature: float = 0.07,
    local_temperature: float = 0.07,
    local_weight: float = 1.0,
    shared: bool = True,
) -> Method:
    """Similarities to a queue of teacher embeddings follow the teacher's, and so do those among the places of each sample.

    L = KL(softmax(<u_t, d_j> / T) || softmax(<g(u_s), d_j> / T)) + w mean_i KL(softmax_j(<t_i, t_j> / T_l) || the student's)

    d: the sample's own teacher embedding and the queue of earlier ones; t_i, g(s_i): the features of place i, all of length 1;
    g: one linear projector for both, as in the code. There the whole current batch is in the queue, the samples are mixed
    pictures, and the rate is scaled by LARS; all three are left to the run here. Where labels teach, CE(y, p) is added.

    Use it when an encoder is distilled without labels for dense tasks as well as whole pictures. Texts have no maps: leave the
    local term out with local_weight = 0.

    Args:
        at: the student's embedding, "" for what it gives. teacher_at: the teacher's, if it is called otherwise.
        local: the student's map or tokens. teacher_local: the teacher's, if they are called otherwise.
        size: of the queue; the code has a quarter to half as many as there are samples, at most 8192.
        temperature, local_temperature: T and T_l, 0.07 in the code. local_weight: w, 1 in the code; 0 leaves the term out.
        shared: one projector for both; false gives places their own, which need not have the width of the embedding.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    remembered = teacher.via("queue")
    mine, goal = student.via("projection").via(beside, remembered), teacher.via(beside, remembered)
    terms: list[Term] = [task(), Term("global", partial(losses.kl, temperature=temperature), student=mine, teacher=goal)]
    parts = {"projection": Part(Linear, like=(student, teacher)), "queue": Part(partial(Queue, size=size), like=(teacher,))}
    trains = ["student", "projection", "queue"]
    if local_weight:
        own = Tap("student", local).via(as_places)
        places = Tap("teacher", teacher_local or local).detach().via(as_places)
        via = "projection" if shared else "local_projection"
        by = partial(losses.position_similarity, temperature=local_temperature)
        terms.append(Term("local", by, weight=local_weight, student=own.via(via), teacher=places))
        if not shared:
            parts["local_projection"] = Part(Linear, like=(own, places))
            trains.append("local_projection")
    return single_stage(*terms, trains=tuple(trains), parts=parts)
