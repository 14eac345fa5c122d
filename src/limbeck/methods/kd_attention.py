"""What the teacher answers, and where it looks."""

from limbeck.methods._terms import LAYERS, angles, standardised, task
from limbeck.plan import Method, method, single_stage

PAPER = "Sun et al. 2024, arXiv 2403.01427, with Zagoruyko & Komodakis 2017, arXiv 1612.03928; together: this project"


@method(paper=PAPER, year=2024)
def kd_attention(
    at: tuple[str, ...] = LAYERS,
    teacher_at: tuple[str, ...] = (),
    temperature: float = 2.0,
    weight: float = 9.0,
    labels: float = 0.1,
    looks: float = 10.0,
) -> Method:
    """Standardised soft labels with attention maps by angle; nothing is learned beside the student.

    L = labels CE(y, p) + weight T^2 KL of softmax(z' / T) + looks sum over layers of (1 - cos(Q_student, Q_teacher)),
    z' = (z - mean) / std, Q = vec(mean_c F^2)

    Use it when teacher and student are convolutional classifiers with stages of equal height and width: the maps help from the
    first steps on, the soft labels in longer trainings. Best with a student that starts from its teacher
    (`student.start = "teacher"`): ResNet-56 to ResNet-8 on CIFAR-10, 15 epochs, reached 82.6 % where labels alone gave 76.2 %,
    and 81.6 % from a random start.

    Args:
        at: the student's layers. teacher_at: the teacher's, if they are called otherwise.
        temperature, weight, labels: as in `kd_standardised`. looks: of each pair of maps, as in `attention_angle`.
    """
    return single_stage(task(weight=labels), standardised(temperature, weight), *angles(at, teacher_at, looks))
