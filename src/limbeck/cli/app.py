"""The command line: words in, one of the library's functions called, words out."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.options import (
    SHRINK,
    Augment,
    DataName,
    DataPath,
    MethodName,
    Number,
    RecipeFile,
    Settings,
    StoreLimit,
    Student,
    StudentWeights,
    Teacher,
    TeacherWeights,
    Whole,
    recipe_of,
)

app = typer.Typer(
    name="limbeck",
    help="Distil a trained model into one that fits a device, and prove it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def distill(
    recipe: RecipeFile = None,
    data: DataName = None,
    data_path: DataPath = None,
    augment: Augment = None,
    teacher: Teacher = None,
    teacher_weights: TeacherWeights = None,
    student: Student = None,
    student_weights: StudentWeights = None,
    method: MethodName = None,
    epochs: Number = None,
    batch: Whole = None,
    lr: Number = None,
    seed: Whole = None,
    alpha: Annotated[float | None, typer.Option(help="weight of size against accuracy in the score")] = None,
    baseline: Annotated[bool | None, typer.Option(help="also train the student alone")] = None,
    tensorboard: Annotated[bool | None, typer.Option(help="also write curves for TensorBoard")] = None,
    store_limit: StoreLimit = None,
    set_: Settings = None,
    out: Annotated[Path | None, typer.Option(help="run folder; default: a new one under runs/")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the unfinished run in --out")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress, only the table")] = False,
) -> None:
    """Train teacher (if it has no weights), baseline and student; measure, export and report them."""
    from limbeck.cli.progress import Display
    from limbeck.distil import running
    from limbeck.engine.turns import last
    from limbeck.processes import agreed, first
    from limbeck.runs.folder import finished, open_folder

    checked = recipe_of(locals())
    folder = open_folder(out, checked, resume)
    with Display(quiet=quiet or not first()) as display:
        done = agreed(lambda: finished(folder), cpu=checked.device == "cpu")
        card = done or last(running(checked, folder, display.hear))
    if first():
        display.show(card, folder)


@app.command()
def plan(
    recipe: RecipeFile = None,
    data: DataName = None,
    data_path: DataPath = None,
    augment: Augment = None,
    teacher: Teacher = None,
    teacher_weights: TeacherWeights = None,
    student: Student = None,
    student_weights: StudentWeights = None,
    method: MethodName = None,
    epochs: Number = None,
    batch: Whole = None,
    lr: Number = None,
    seed: Whole = None,
    store_limit: StoreLimit = None,
    set_: Settings = None,
) -> None:
    """Say what a run would store, run live and cost in time and memory; train nothing."""
    from limbeck.cli.storing import foresee

    foresee(recipe_of(locals()))


@app.command()
def compare(
    methods: Annotated[str | None, typer.Option(help="kd,dkd,fitnets,... ; with settings: kd:temperature=2:alpha=0.5")] = None,
    seeds: Annotated[int | None, typer.Option(help="number of seeds, counted from --seed; default 5")] = None,
    jobs: Annotated[int | None, typer.Option(help="so many runs at a time, each in a process of its own")] = None,
    on: Annotated[str | None, typer.Option(help="together: one pass for all methods of a seed; ray: on Ray")] = None,
    search: Annotated[int | None, typer.Option(help="trials of settings for each method, chosen on validation")] = None,
    recipe: Annotated[Path | None, typer.Option(help="TOML recipe, may have a [compare] table; options win over it")] = None,
    data: DataName = None,
    data_path: DataPath = None,
    augment: Augment = None,
    teacher: Teacher = None,
    teacher_weights: TeacherWeights = None,
    student: Student = None,
    student_weights: StudentWeights = None,
    epochs: Number = None,
    batch: Whole = None,
    lr: Number = None,
    seed: Whole = None,
    alpha: Number = None,
    store_limit: StoreLimit = None,
    set_: Settings = None,
    out: Annotated[Path | None, typer.Option(help="folder; default: a new one; one that exists is gone on with")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress, only the table")] = False,
) -> None:
    """Train several methods and the baseline on equal terms, with several seeds; table, intervals, verdict."""
    from limbeck.cli.progress import Display
    from limbeck.compare import comparison as comparing
    from limbeck.runs import settings as recipes

    asked = comparing.asked(comparing.from_recipe(recipes.load(recipe)) if recipe else {}, methods, seeds, jobs, on, search)
    checked = recipe_of(locals() | {"method": None})
    folder = out if out is not None else comparing.fresh_folder(checked)
    with Display(quiet=quiet) as display:
        board = asked.over(checked, folder, display.hear).go()
    display.show_board(board, folder)


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="one method: its abstract view")] = None,
    svg: Annotated[Path | None, typer.Option(help="draw its abstract view into this file")] = None,
    table: Annotated[bool, typer.Option("--table", help="all methods as rows of the general model")] = False,
    unexplored: Annotated[bool, typer.Option("--unexplored", help="combinations of fields that no method has")] = False,
    json_: Annotated[bool, typer.Option("--json", help="with --unexplored: all of them, a line of JSON each")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="a setting of the method: temperature=2")] = None,
) -> None:
    """List the catalogue, or show one method: who learns what from whom, when, by which loss."""
    from limbeck.cli import listing

    if unexplored:
        listing.unexplored(json_)
    elif name is None:
        listing.catalogue(wide=table)
    else:
        listing.one(name, svg, set_ or [])


@app.command()
def survey(
    alpha: Annotated[float, typer.Option(min=0, max=1, help="weight of size against accuracy in the score")] = 0.5,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    figure: Annotated[Path | None, typer.Option(help="draw scores against alpha into this SVG file")] = None,
) -> None:
    """The 27 systems of survey A: as published, as declared here, and as measured here."""
    from limbeck.catalogue import survey as surveyed

    if figure is not None:
        from limbeck.files import atomic_write
        from limbeck.report.survey import svg

        with atomic_write(figure, text=True) as file:
            file.write(svg(alpha))
    typer.echo(surveyed.as_json(alpha)) if json_ else surveyed.show(alpha)


@app.command()
def evaluate(
    run: Annotated[Path | None, typer.Argument(help="run folder, or a folder with student.json")] = None,
    model: Annotated[str | None, typer.Option(help="instead of a run: a model by name")] = None,
    weights: Annotated[Path | None, typer.Option(help="its weights")] = None,
    data: Annotated[str | None, typer.Option(help="data set by name, or a path; default: the run's")] = None,
    data_path: Annotated[str | None, typer.Option()] = None,
    mean: Annotated[str | None, typer.Option(help="per channel, with commas; default: the data's")] = None,
    std: Annotated[str | None, typer.Option(help="per channel, with commas; default: the data's")] = None,
    part: Annotated[str, typer.Option(help="train, validation or test")] = "test",
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Accuracy, worst class, calibration and size of a student, or of any model with weights."""
    from limbeck.cli import evaluate as after

    after.evaluate(run, model, weights, data, data_path, mean, std, part, json_)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="run folder, or a folder with student.json")],
    out: Annotated[Path | None, typer.Option(help="the file, for one format; default: student.ENDING in the folder")] = None,
    format_: Annotated[str, typer.Option("--format", help="onnx,torch,executorch,rules: one or several")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="also in int8, calibrated on training samples")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="train on as int8 with the teacher where int8 loses too much")] = False,
    most_lost: Annotated[float, typer.Option(help="share of validation answers that int8 may lose")] = 0.01,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Write a student for other runtimes, reload each file there and compare it on real data."""
    from limbeck.cli import shipping

    shipping.export(run, out, format_, int8, repair, most_lost, json_)


@app.command()
def shrink(
    max_latency: Annotated[str | None, typer.Option(help="of one answer, median: 5ms, 800us")] = None,
    max_size: Annotated[str | None, typer.Option(help="of the exported file: 1MB, 200kB")] = None,
    min_accuracy: Annotated[str | None, typer.Option(help="0.9 or 90%")] = None,
    time: Annotated[str | None, typer.Option(help="for the whole search: 30m, 2h")] = None,
    trials: Annotated[int, typer.Option(help="trainings, at most")] = 30,
    candidates: Annotated[str | None, typer.Option(help="cnn:width=4|8:size=14,my_models:small; default: the zoo")] = None,
    format_: Annotated[str, typer.Option("--format", help="the runtime: onnx, torch or executorch")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="students are shipped in int8")] = False,
    threads: Annotated[int, typer.Option(help="threads of the runtime")] = 1,
    on: Annotated[str | None, typer.Option(help='words that run a command on the target: "ssh pi"')] = None,
    python: Annotated[str | None, typer.Option(help="the interpreter there; default python3")] = None,
    storage: Annotated[str | None, typer.Option(help="any storage of Optuna, for several machines; default: SQLite")] = None,
    guided: Annotated[bool, typer.Option(help="--no-guided: the same search without the teacher")] = True,
    recipe: RecipeFile = None,
    data: DataName = None,
    data_path: DataPath = None,
    augment: Augment = None,
    teacher: Teacher = None,
    teacher_weights: TeacherWeights = None,
    method: MethodName = None,
    epochs: Number = None,
    batch: Whole = None,
    lr: Number = None,
    seed: Whole = None,
    alpha: Number = None,
    set_: Settings = None,
    out: Annotated[Path | None, typer.Option(help="folder; default: a new one; one that exists is gone on with")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress, only the answer")] = False,
) -> None:
    """The best student within a latency, a size and an accuracy: measured first, then searched; or why nothing fits."""
    from limbeck.cli.shrink import shrink as search

    search(recipe_of(locals() | {"student": None, "student_weights": None}), **{k: v for k, v in locals().items() if k in SHRINK})


@app.command()
def measure(
    target: Annotated[Path, typer.Argument(help="run folder (every export in it), or an exported file")],
    batch: Annotated[str, typer.Option(help="sizes of the batches that are timed, with commas")] = "1,16",
    threads: Annotated[int, typer.Option(help="threads of the runtime")] = 1,
    repeats: Annotated[int, typer.Option(help="answers that are timed, at most")] = 200,
    warm_up: Annotated[int, typer.Option(help="answers before the clock runs")] = 10,
    seconds: Annotated[float, typer.Option(help="time for each size of batch")] = 2.0,
    on: Annotated[str | None, typer.Option(help='words that run a command on the target: "ssh pi"')] = None,
    python: Annotated[str | None, typer.Option(help="the interpreter there; default python3")] = None,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Latency, peak memory and size of exported files, here or on a target, each in a fresh process."""
    from limbeck.cli import measuring
    from limbeck.cli.showing import show_measured

    sizes = measuring.parse_batches(batch)
    show_measured(measuring.measure(target, sizes, threads, repeats, warm_up, seconds, on, python), json_)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="folder of a run or of a comparison")]) -> None:
    """Write the page of a run or a comparison again, from its folder alone."""
    from limbeck.report.page import write_report

    typer.echo(str(write_report(run)))


@app.command()
def web(
    run: Annotated[Path, typer.Argument(help="folder of a finished run on images")],
    out: Annotated[Path | None, typer.Option(help="folder of the page; default: web in the run's folder")] = None,
    port: Annotated[int, typer.Option(help="port on this machine; 0 takes a free one")] = 8766,
    runtime: Annotated[Path | None, typer.Option(help="folder with onnxruntime-web; default: fetched by npm once")] = None,
    serve: Annotated[bool, typer.Option(help="--no-serve: only build the folder")] = True,
) -> None:
    """Build a page in which student and teacher answer drawings in the browser, and serve it on this machine."""
    from limbeck import web as page

    typer.echo(str(folder := page.build(run, out or run / "web", runtime)))
    if serve:
        page.serve(folder, port, typer.echo)


@app.command()
def explain(
    run: Annotated[Path, typer.Argument(help="folder of a finished run that had a teacher")],
    seeds: Annotated[int, typer.Option(help="students of each of five kinds that are trained; 0 trains nothing")] = 3,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress, only the verdict")] = False,
) -> None:
    """Why the student gained: where the models differ, which part of the teacher's labels did it, what the layers hold."""
    import json

    from limbeck.cli.progress import Display
    from limbeck.explain import explain as explained

    with Display(quiet=quiet or json_) as display:
        found = explained(run, seeds=seeds, listen=display.hear)
    typer.echo(json.dumps(found, indent=1) if json_ else "\n".join([*found["verdict"], str(run / "explain.html")]))


@app.command()
def watch(
    run: Annotated[Path, typer.Argument(help="folder of a run or of a comparison")],
    port: Annotated[int, typer.Option(help="port on this machine; 0 takes a free one")] = 8765,
) -> None:
    """Serve the page of a run or a comparison on this machine while it grows; control-C ends it."""
    from limbeck.report.watch import watch as serve

    serve(run, port, typer.echo)


@app.command()
def models() -> None:
    """List the built-in networks."""
    from limbeck.models import names

    typer.echo("\n".join(names()))


store = typer.Typer(help="Stored teacher answers: list, verify, prune.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(store, name="store")
StorePath = Annotated[Path | None, typer.Option(help="folder; default: $LIMBECK_STORE or the user's cache")]


@store.command("list")
def store_list(path: StorePath = None) -> None:
    """What is stored: source, data, view, how full, how large, when last used."""
    from limbeck.cli import storing

    storing.show(storing.Store(path))


@store.command("verify")
def store_verify(path: StorePath = None) -> None:
    """Check every stored answer; damaged ones are emptied and computed again by the next run."""
    from limbeck.cli import storing

    storing.verify(storing.Store(path))


@store.command("prune")
def store_prune(
    limit_gb: Annotated[float, typer.Option(help="largest size to keep, in GiB; longest unused go first")] = 0.0,
    path: StorePath = None,
) -> None:
    """Remove stored answers, longest unused first, until the limit is kept."""
    from limbeck.cli import storing

    removed = storing.Store(path).prune(int(limit_gb * 2**30), print)
    typer.echo(f"{removed / 2**20:.1f} MiB removed")
